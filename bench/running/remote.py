"""What runs cells on other machines: a job that can be sent there, and a look at how it goes.

Whoever runs a cell says so in the folder (`bench.cells.state`), which all of them share, so the
process that sent it needs no other word from it.
"""

from __future__ import annotations

import os
import pickle
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bench.cells.cell import AnyCell
from bench.cells.result import CellResult
from bench.cells.state import lease_path, notice_of
from bench.cells.store import Store
from bench.core.durations import NEVER, Deadline
from bench.core.errors import BenchError
from bench.core.lease import Lease
from bench.core.machine import gpus
from bench.planning.plugins import load_all
from bench.running.job import Job, unknown_method
from bench.running.progress import Display
from bench.running.sharing import is_done


@dataclass(frozen=True)
class Packed:
    """A job for a process that starts from nothing: the files that it reads first, and the rest,
    whose pickle needs them. Its paths must lead to the same files there."""

    plugin: tuple[Path, ...]
    task_file: tuple[Path, ...]
    job: bytes
    whole: float  # seconds from the beginning of the run to its deadline
    left: float  # and those that are left

    def open(self) -> Job:
        """The job, whose deadline is counted from now; the only CPU thread is this one's.

        Raises:
            BenchError: it needs what only the other process knows.
        """
        import torch

        load_all(self.plugin, self.task_file)
        job: Job = pickle.loads(self.job)
        if refusal := unknown_method(job, f"--executor {job.executor}"):
            raise BenchError(refusal)
        if not gpus():
            torch.set_num_threads(1)
        return replace(job, deadline=Deadline(self.whole, time.monotonic() + self.left))


def packed(job: Job) -> Packed:
    """A job for another machine, whose clock is not this one's."""
    plugin, task_file = (
        tuple(path.resolve() for path in paths) for paths in (job.plugin, job.task_file)
    )
    sent = pickle.dumps(replace(job, folder=job.folder.resolve(), deadline=NEVER))
    return Packed(plugin, task_file, sent, job.deadline.whole, job.deadline.left)


def python_path() -> str:
    """Where this process finds modules, for others to find the same."""
    return os.pathsep.join(str(Path(place).resolve()) for place in sys.path)


@contextmanager
def inherited_path() -> Iterator[None]:
    """Let processes that are started meanwhile find the modules that this one finds."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = python_path()
    try:
        yield
    finally:
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before


class Follower:
    """Shows how cells go that others run, as far as they say so in the folder."""

    def __init__(self, job: Job, store: Store, display: Display) -> None:
        self.job, self.store, self.display = job, store, display
        self._number = {cell.hash: number for number, cell in enumerate(job.todo)}
        self._before = {cell.hash: self._read(cell) for cell in job.todo}

    def look(self) -> None:
        """Show what has happened since the last look."""
        for cell in list(self.display.left):
            if self.has_ended(cell):
                self._end(cell)
            elif note := notice_of(self.store.folder, cell.hash):
                number = self._number[cell.hash]
                if number not in self.display.running:
                    self.display.start(cell, number)
                self.display.progress(
                    note["stage"], note["done"], note["total"], note["loss"], number
                )

    def has_ended(self, cell: AnyCell) -> bool:
        """Whether a cell has a result that was not there before."""
        result = self._read(cell)
        done = is_done(result, cell, self.store, self.job.plan.submission)
        return done or result != self._before[cell.hash]

    def in_hand(self) -> bool:
        """Whether somebody runs one of the cells that are left."""
        folder = self.store.folder
        return any(Lease(lease_path(folder, cell.hash)).is_alive() for cell in self.display.left)

    def leave(self, cell: AnyCell) -> None:
        """Show that a cell runs no more, though it has not ended."""
        self.display.running.pop(self._number[cell.hash], None)

    def _end(self, cell: AnyCell) -> None:
        number, result = self._number[cell.hash], self._read(cell)
        assert result is not None
        if number not in self.display.running:
            self.display.start(cell, number)
        self.display.end(cell, result, self.store.log(result), number)

    def _read(self, cell: AnyCell) -> CellResult | None:
        return self.store.read(cell.identity(), cell.hash)
