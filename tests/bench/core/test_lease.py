"""One holder at a time, who is named; a dead one is replaced at once, a silent one later."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.core import lease
from bench.core.errors import BenchError
from bench.core.lease import Lease

ROOT = Path(__file__).parents[3]

_HOLDS = """\
import sys, time
from pathlib import Path
from bench.core import lease
lease.SECONDS, lease._HEARTBEAT = 1.0, 0.1
mine = lease.Lease(Path(sys.argv[1]))
assert mine.take()
print("taken", flush=True)
while not mine.lost:
    time.sleep(0.05)
print("lost", flush=True)
"""


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is short, as in the other process."""
    monkeypatch.setattr(lease, "SECONDS", 1.0)
    monkeypatch.setattr(lease, "_HEARTBEAT", 0.1)


@contextmanager
def another(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has the lease."""
    command = [sys.executable, "-c", _HOLDS, str(path)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None and process.stdout.readline() == "taken\n"
        yield process
    finally:
        process.kill()
        process.wait()


def test_one_has_it_and_is_named(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x.lock"
    first, second = Lease(path), Lease(path)
    assert first.take() and not second.take()
    assert second.holder() == f"process {os.getpid()} on {socket.gethostname()}"
    first.drop()
    assert second.holder() == ""
    assert second.take() and not first.lost
    second.drop()
    assert not path.exists()


@pytest.mark.usefixtures("short")
def test_a_dead_holder_is_replaced_at_once(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with another(path) as process:
        mine = Lease(path)
        assert not mine.take()
        process.kill()
        process.wait()
        assert mine.take()
    mine.drop()


@pytest.mark.usefixtures("short")
def test_a_stopped_holder_is_named_and_replaced_and_finds_out(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with another(path) as process:
        mine, said = Lease(path), ""
        for _ in range(20):  # longer than the silence that is allowed: it gives signs of life
            assert not mine.take()
            time.sleep(0.1)
        process.send_signal(signal.SIGSTOP)
        while not mine.take():
            said = mine.holder()
            time.sleep(0.05)
        assert said.startswith(f"process {process.pid} on ") and "is it stopped?" in said
        process.send_signal(signal.SIGCONT)
        assert process.stdout is not None and process.stdout.readline() == "lost\n"
    assert not mine.lost
    mine.drop()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BenchError, match=r"^cannot write .*x\.lock: .+\.$"):
        Lease(tmp_path / "file" / "x.lock").take()


def test_one_of_another_version_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that disagree on when silence is too long would both think that they have it."""
    path = tmp_path / "x.lock"
    first = Lease(path)
    assert first.take()
    path.write_text(path.read_text().replace("host=", "host=another-"))  # not known to be dead
    monkeypatch.setattr(lease, "SECONDS", 60.0)
    with pytest.raises(
        BenchError, match=r"^.*/x\.lock is of another version .* delete the file\.$"
    ):
        Lease(path).take()
    assert path.is_file()
