"""Several processes on one grid: at once, with clocks that jump, one that is stopped, machines."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Sequence

from bench.core import files, lease
from tests.faults.grid import Count, Fault, Grid, end, settle, start, stopping

_SILENT_SECONDS = 3.0


def _together(grid: Grid, count: Count, faults: Sequence[Fault]) -> None:
    """Processes on one grid at once; no cell is run by two of them."""
    folder = grid.folder()
    pids = [start(grid.words, folder, fault) for fault in faults]
    count.odd += sum(end(pid) != 0 for pid in pids)
    logs = "".join((folder / f"log-{pid}.txt").read_text() for pid in pids)
    runs = sum(" -> " in line for line in logs.splitlines() if line.startswith("["))
    count.redone += runs - grid.cells
    settle(grid, folder, count)


def two(grid: Grid, count: Count) -> None:
    """Two processes on one grid."""
    for _ in range(3):
        _together(grid, count, [lambda: None] * 2)


def four(grid: Grid, count: Count) -> None:
    """Four processes on one grid."""
    for _ in range(2):
        _together(grid, count, [lambda: None] * 4)


def eight(grid: Grid, count: Count) -> None:
    """Eight processes on one grid."""
    _together(grid, count, [lambda: None] * 8)


def machines(grid: Grid, count: Count) -> None:
    """Two machines on one grid, by what they are called. Both live; then one dies, whose processes
    the other cannot see: its cell is waited for, with its name, until it has been silent too
    long."""
    _together(grid, count, [_on("one"), _on("two")])
    folder = grid.folder()
    first = start(grid.words, folder, _on("one", stopping(2, signal.SIGKILL)))
    count.odd += end(first) != -signal.SIGKILL
    begun = time.monotonic()
    second = start(grid.words, folder, _on("two"))
    count.odd += end(second) != 0
    count.odd += time.monotonic() - begun < _SILENT_SECONDS
    said = (folder / f"log-{second}.txt").read_text()
    count.odd += f"waiting for finetune x cola x seed 0: process {first} on one" not in said
    settle(grid, folder, count)


def _on(name: str, fault: Fault = lambda: None) -> Fault:
    """On a machine of this name, where others' silence is short."""

    def patch() -> None:
        _short()
        socket.gethostname = lambda: name
        files._host.cache_clear()
        fault()

    return patch


def _short() -> None:
    lease.SECONDS, lease._HEARTBEAT = _SILENT_SECONDS, 0.3


def clocks(grid: Grid, count: Count) -> None:
    """Two processes whose clocks jump by two days while they run."""

    def jump(by: float) -> Fault:
        def patch() -> None:
            real, calls = time.time, [0]

            def called() -> float:
                calls[0] += 1
                return real() + (by if calls[0] % 2 else 0.0)

            time.time = called

        return patch

    _together(grid, count, [jump(200_000.0), jump(-200_000.0)])


def stopped(grid: Grid, count: Count) -> None:
    """One process is stopped in the midst of a cell: another names it, takes the cell over, and
    the first, which goes on one day, leaves it alone."""

    def stop() -> None:
        _short()
        stopping(2, signal.SIGSTOP)()

    folder = grid.folder()
    first = start(grid.words, folder, stop)
    os.waitpid(first, os.WUNTRACED)
    second = start(grid.words, folder, _short)
    count.odd += end(second) != 0
    said = (folder / f"log-{second}.txt").read_text()
    count.odd += f"waiting for finetune x cola x seed 0: process {first} on " not in said
    os.kill(first, signal.SIGCONT)
    count.odd += end(first) != 0
    settle(grid, folder, count)
