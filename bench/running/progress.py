"""What a person sees while cells run: one live display, or plain lines in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from bench.cells.cell import AnyCell
from bench.cells.measured import asked, at
from bench.cells.result import CellResult
from bench.cells.state import where
from bench.core.durations import clock
from bench.running.estimates import Estimates

_LINE_SECONDS = 15.0


class Audience(Protocol):
    """Who is told how cells go: a display in this process, or the pipe of a worker to one."""

    def start(self, cell: AnyCell) -> None:
        """A cell begins."""

    def progress(self, stage: str, done: int, total: int, loss: float | None) -> None:
        """The cell is at `done` of `total` of `stage`; cheap enough to call at every step."""

    def say(self, text: str) -> None:
        """Something that is to be known of the cell."""

    def passed(self, cell: AnyCell, result: CellResult) -> None:
        """Another run's process has ended a cell."""

    def end(self, cell: AnyCell, result: CellResult, log: Path | None = None) -> None:
        """The cell is finished or has failed, which is told at length in `log`."""

    def leave(self, cell: AnyCell) -> None:
        """The cell was stopped by the run's time limit."""


@dataclass
class Running:
    """A cell that runs, and how far it is."""

    cell: AnyCell
    number: str  # "[ 3/18]"
    started: float = field(default_factory=time.monotonic)
    printed: float = field(default_factory=time.monotonic)
    stage: str = "load"
    done: int = 0
    total: int = 1
    loss: float | None = None

    def where(self) -> str:
        """How far it is, in words."""
        return where(self.stage, self.done, self.total, self.loss)


class Display:
    """Shows which cells run, how far they are and when all will be done; an `Audience`, of which
    several `workers` are told apart by number.

    On a terminal a live display, of a row for the run and one for each cell that runs, stays at
    the bottom; elsewhere a line is printed when a cell starts, ends, and every 15 seconds between;
    if `quiet`, only when one fails. Everything goes to standard error.
    """

    def __init__(
        self,
        cells: Sequence[AnyCell],
        estimates: Estimates,
        quiet: bool = False,
        workers: int = 1,
    ) -> None:
        self.left = list(cells)  # with those that run
        self.estimates = estimates  # learns from what ends
        self.count, self.workers = len(self.left), workers
        self.console = Console(stderr=True)
        self.quiet = quiet
        self.moves = self.console.is_terminal and not quiet
        self.lines = not self.console.is_terminal and not quiet
        self.running: dict[int, Running] = {}  # by worker
        self.failed = 0
        self.live = Live(console=self.console, get_renderable=self._picture, transient=True)

    def __enter__(self) -> Display:
        if self.moves:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType
    ) -> None:
        if self.moves:
            self.live.stop()

    def start(self, cell: AnyCell, worker: int = 0) -> None:
        """A cell begins."""
        if cell not in self.left:  # which another process of this run, that plans alone, may hold
            self.left.append(cell)
        self.running.pop(worker, None)
        self.running[worker] = Running(cell, self._number())
        if self.lines:
            self._line(f"{self.running[worker].number} {cell}")

    def progress(
        self, stage: str, done: int, total: int, loss: float | None, worker: int = 0
    ) -> None:
        """See `Audience`."""
        run = self.running[worker]
        run.stage, run.done, run.total, run.loss = stage, done, total, loss
        now = time.monotonic()
        if self.lines and now - run.printed > _LINE_SECONDS:
            run.printed = now
            which = f"{run.number} " if self.workers > 1 else "    "
            self._line(f"{which}{run.where()}, run: {self._eta()}")

    def say(self, text: str, worker: int = 0) -> None:
        """See `Audience`."""
        if not self.quiet:
            run = self.running.get(worker)
            self._line(f"{run.number if run else self._number()} {text}")

    def passed(self, cell: AnyCell, result: CellResult, worker: int = 0) -> None:
        """See `Audience`."""
        if cell in self.left:  # else it ended here, too, before its loss was seen
            self.say(f"{cell}: {result['status']} by another process", worker)
            self.left.remove(cell)

    def end(
        self, cell: AnyCell, result: CellResult, log: Path | None = None, worker: int = 0
    ) -> None:
        """See `Audience`."""
        run = self.running.pop(worker)
        seconds = time.monotonic() - run.started
        self.left.remove(cell)
        self.estimates.add([result])
        result = at(result, "scores", asked(cell)["scores"]) or result
        if result["scores"] is None:
            self.failed += 1
            self._line(f"{run.number} {cell}: FAILED, {result['error']}\n    log: {log}")
        elif not self.quiet:
            primary = result["scores"]["primary"]
            before, after = result["scores"]["before"][primary], result["scores"]["after"][primary]
            self._line(
                f"{run.number} {cell}: {primary} x100 {100 * before:.1f} -> {100 * after:.1f}, "
                f"{clock(seconds)}"
            )

    def leave(self, cell: AnyCell, worker: int = 0) -> None:
        """See `Audience`."""
        self.say(f"{cell}: stopped at {self.running[worker].where()}, for the time is up", worker)
        self.running.pop(worker)

    def _number(self) -> str:
        """Of the cell that starts next."""
        number = min(self.count, self.count - len(self.left) + len(self.running) + 1)
        return f"[{number:>{len(str(self.count))}}/{self.count}]"

    def _line(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)
        if not self.console.is_terminal:
            sys.stderr.flush()

    def _eta(self) -> str:
        now, running = time.monotonic(), list(self.running.values())
        spent = sum(now - run.started for run in running)
        left = self.estimates.remaining(self.left, spent)
        if left is None and running and all(r.stage == "train" and r.done for r in running):
            whole = sum((now - run.started) * run.total / run.done for run in running)
            left = whole * len(self.left) / len(running) - spent
        if left is None:
            return "time left unknown yet"
        return f"{clock(left / max(1, min(self.workers, len(self.left))))} left"

    def _picture(self) -> Table:
        """The live display: the run's row above those of cells."""
        grid = Table.grid(padding=(0, 2))
        running = [self.running[worker] for worker in sorted(self.running)]
        if not running:
            return grid
        done, failed = self.count - len(self.left), f", {self.failed} failed" if self.failed else ""
        grid.add_row(
            f"run {done}/{self.count} cells{failed}",
            ProgressBar(total=self.count, completed=done, width=24),
            self._eta(),
        )
        for run in running:
            share = 100 * run.done / max(1, run.total)
            grid.add_row(str(run.cell), ProgressBar(completed=share, width=24), run.where())
        return grid
