"""Files that are whole or absent, and folders where nothing can be written: one line."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.cells.store import Store
from bench.core import files
from bench.core.errors import BenchError
from bench.core.files import atomic_write_tensors, atomic_write_text, check_writable, sweep
from tests.helpers.made_up import result


def test_only_what_the_dead_have_left_is_swept(tmp_path: Path) -> None:
    def kept(host: str, pid: int, age: float) -> bool:
        path = tmp_path / "deep" / f".x.json.{host}-{pid}-abcd.tmp"
        path.parent.mkdir(exist_ok=True)
        path.touch()
        os.utime(path, (time.time() - age,) * 2)
        sweep(tmp_path)
        return path.exists()

    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    mine = files._host()
    assert kept(mine, os.getpid(), 5.0) and kept("elsewhere", gone.pid, 5.0)
    assert not kept(mine, gone.pid, 5.0)
    assert not kept("elsewhere", gone.pid, 100_000.0)
    (tmp_path / ".theirs-and-not-ours.tmp").touch()
    sweep(tmp_path)
    assert (tmp_path / ".theirs-and-not-ours.tmp").exists()


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    acts: list[Callable[[Path], None]] = [
        check_writable,
        lambda folder: atomic_write_text(folder / "x", "text"),
        lambda folder: Store(folder).write(result(), None),
    ]
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        for act in acts:
            with pytest.raises(BenchError, match=r"^cannot write .*file.*: .+\.$"):
                act(folder)
    assert (tmp_path / "file").read_text() == "mine"
    check_writable(tmp_path / "new" / "deep")
    assert list((tmp_path / "new" / "deep").iterdir()) == []


def test_a_read_only_disk_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "open", refuse)
    for act in (check_writable, lambda f: Store(f).write(result(), None)):
        with pytest.raises(BenchError, match=r"cannot write .*: Read-only file system\."):
            act(tmp_path)


def test_a_full_disk_keeps_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "board.md"
    atomic_write_text(path, "old")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(BenchError, match=r"cannot write .*board\.md: No space left"):
            atomic_write_text(path, "new")
    assert [p.name for p in tmp_path.iterdir()] == ["board.md"]
    assert path.read_text() == "old"


def test_tensors_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    path = tmp_path / "new" / "some.safetensors"
    atomic_write_tensors(path, {"x": torch.arange(3.0)})
    assert load_file(path)["x"].tolist() == [0.0, 1.0, 2.0]
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limit[1]))  # as a disk that is full
    try:
        with pytest.raises(BenchError, match=r"cannot write .*some\.safetensors: .*too large"):
            atomic_write_tensors(path, {"x": torch.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert load_file(path)["x"].tolist() == [0.0, 1.0, 2.0]
    assert [file.name for file in path.parent.iterdir()] == [path.name]
