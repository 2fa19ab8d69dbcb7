"""Archives: the same bytes each time, all that was packed, and nothing that a stranger slips in."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from bench.cells import archive
from bench.cells.archive import MANIFEST, opened, pack
from bench.cells.store import Store
from bench.core.errors import BenchError
from tests.helpers.made_up import predictions, result


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three cells, one of them failed, and what a run leaves beside them."""
    store = Store(tmp_path / "run")
    for seed in (0, 1):
        cell = result("lwf", seed=seed)
        store.write(cell, predictions(cell))
    store.write(result("lwf", seed=2, error="out of luck"), None)
    for path in ("weights/abc.safetensors", "logs/x.txt", "cells/broken.json"):
        (store.folder / path).parent.mkdir(exist_ok=True)
        (store.folder / path).write_text("secret")
    return store.folder


def test_what_was_packed_is_what_is_opened(folder: Path, tmp_path: Path) -> None:
    packed = pack(folder, tmp_path / "a.zip")
    assert (packed.cells, packed.answers) == (3, 2)
    assert len(packed.left_out) == 1 and "broken.json" in packed.left_out[0]
    ours, theirs = Store(folder), Store(opened(tmp_path / "a.zip"))
    assert theirs.all() == ours.all()
    assert [theirs.predictions(r) for r in theirs.all()] == [
        ours.predictions(r) for r in ours.all()
    ]
    with zipfile.ZipFile(tmp_path / "a.zip") as zipped:
        assert all(n == MANIFEST or n.startswith("cells/lwf-") for n in zipped.namelist())
        assert b"secret" not in b"".join(zipped.read(name) for name in zipped.namelist())


def test_the_same_cells_are_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    pack(folder, tmp_path / "a.zip")
    for path in (folder / "cells").iterdir():
        os.utime(path, (time.time() - 1e6, time.time() - 1e6))
    again = tmp_path / "elsewhere"
    folder.rename(again)
    pack(again, tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_nothing_is_overwritten_and_nothing_packed_of_nothing(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_text("mine")
    with pytest.raises(BenchError, match="is there already"):
        pack(folder, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_text() == "mine"
    with pytest.raises(BenchError, match="holds no results to pack"):
        pack(tmp_path / "empty", tmp_path / "b.zip")
    assert not (tmp_path / "b.zip").exists()


GOOD = "cells/lwf-cola-seed0-0123.json"


def zipped(path: Path, files: dict[str, bytes], *, manifest: Any = None, mode: int = 0) -> Path:
    """An archive with a manifest that fits, unless another is given."""
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    said = {"format": 1, "suite_version": "0.4.0", "files": digests}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            made.writestr(entry, content, zipfile.ZIP_DEFLATED)
        made.writestr(MANIFEST, json.dumps(manifest or said))
    return path


def refused(path: Path, tmp_path: Path, match: str) -> None:
    """One line, and no file but in the temporary folder."""
    there = set(tmp_path.rglob("*"))
    with pytest.raises(BenchError, match=match) as caught:
        opened(path)
    assert len(str(caught.value).splitlines()) == 1
    new = [p.relative_to(tmp_path).parts for p in set(tmp_path.rglob("*")) - there]
    assert all(parts[0].startswith("forgetting-bench-") for parts in new)


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Archives are unpacked below the test's own folder."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


NAMES = [
    "../evil.json", "cells/../../evil.json", "/evil.json", "cells/..\\evil.json", "C:/evil.json",
    "cells/.hidden.json", "cells/a/b.json", "cells/Lwf.json", "cells/x.py", "weights/x.safetensors",
    "cells/", "cells/x.json\n", "cells/\u202egnp.json", "evil", "cells/" + "x" * 300 + ".json",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_no_cells_is_refused(name: str, tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {GOOD: b"{}", name: b"{}"})
    refused(path, tmp_path, "is no archive of `pack`: it has a file called")


def test_links_and_other_kinds_are_refused(tmp_path: Path) -> None:
    for mode in (stat.S_IFLNK | 0o777, stat.S_IFIFO | 0o644, stat.S_IFDIR | 0o755):
        path = zipped(tmp_path / "x.zip", {GOOD: b"/etc/passwd"}, mode=mode)
        refused(path, tmp_path, "is no plain file")


def test_bombs_are_refused_before_they_go_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = zipped(tmp_path / "x.zip", {GOOD: bytes(20_000_000)})
    assert bomb.stat().st_size < 30_000
    monkeypatch.setattr(archive, "MOST_FILE_BYTES", 10_000_000)
    refused(bomb, tmp_path, "has 20000000 bytes, more than 10000000")
    monkeypatch.setattr(archive, "MOST_BYTES", 15_000_000)
    many = zipped(tmp_path / "y.zip", {f"cells/{i}.json": bytes(9_000_000) for i in range(2)})
    refused(many, tmp_path, r"has 180\d+ bytes unpacked, more than 15000000")
    monkeypatch.setattr(archive, "MOST_FILES", 2)
    refused(many, tmp_path, "has 3 files, more than 2")


def test_a_size_that_lies_is_found(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {GOOD: bytes(20_000_000)})
    content = path.read_bytes()
    said = (20_000_000).to_bytes(4, "little")
    assert content.count(said) == 2  # in front of the file and in the directory
    path.write_bytes(content.replace(said, (100).to_bytes(4, "little")))
    refused(path, tmp_path, "Bad CRC-32|is not of the size")


def test_what_is_not_as_it_was_packed_is_found(folder: Path, tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {GOOD: b"{}"}, manifest={"format": 1})
    refused(path, tmp_path, "pack.json lacks files, suite_version")
    digests = {"format": 1, "suite_version": "0", "files": {GOOD: "0" * 64}}
    refused(zipped(tmp_path / "x.zip", {GOOD: b"{}"}, manifest=digests), tmp_path, "not as it was")
    digests["files"] = {}
    refused(
        zipped(tmp_path / "x.zip", {GOOD: b"{}"}, manifest=digests), tmp_path, "in one of it and"
    )
    digests["format"] = 2
    refused(zipped(tmp_path / "x.zip", {}, manifest=digests), tmp_path, "this program reads 1")
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as made:
        made.writestr(GOOD, "{}")
    refused(tmp_path / "z.zip", tmp_path, "it has no pack.json")
    with pytest.warns(UserWarning), zipfile.ZipFile(tmp_path / "z.zip", "a") as made:
        made.writestr(GOOD, "[]")
    refused(tmp_path / "z.zip", tmp_path, "has a name twice")


def test_a_damaged_or_another_file_is_named(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    pack(folder, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused(path, tmp_path, "neither the folder of a run nor an archive")
    for place in range(0, len(whole), 97):  # whatever byte is hit: as it was, or one line
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            found = Store(opened(path)).all()
        except BenchError as error:
            assert len(str(error).splitlines()) == 1
        else:
            assert found == Store(folder).all()
    with pytest.raises(BenchError, match="is not a folder"):
        opened(tmp_path / "nowhere.zip")


def test_what_is_no_result_inside_is_set_aside(tmp_path: Path) -> None:
    store = Store(opened(zipped(tmp_path / "x.zip", {GOOD: b'{"schema_version": "\\u001b[31m"}'})))
    assert store.all() == []
    (line,) = store.set_aside
    assert "schema_version" in line and "\x1b" not in line
