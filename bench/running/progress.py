"""What a person sees while the cells run: one live display, or plain lines in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from bench.cells.cell import AnyCell
from bench.cells.result import CellResult

_LINE_SECONDS = 15.0


def clock(seconds: float) -> str:
    """`1:02:03`, `2:03` or `9 s`."""
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02d}:{rest:02d}"
    return f"{minutes}:{rest:02d}" if minutes else f"{rest} s"


def remaining_seconds(
    done: Sequence[tuple[AnyCell, float]], todo: Sequence[AnyCell], spent_on_first: float
) -> float | None:
    """What the cells in `todo` will take, the first of which has run for `spent_on_first`, by the
    mean of finished cells alike in method and task, else in task, else in method, else of all.
    None before any cell has finished."""
    if not done:
        return None

    def expected(cell: AnyCell) -> float:
        alike = (
            [s for c, s in done if (c.label, c.name) == (cell.label, cell.name)],
            [s for c, s in done if c.name == cell.name],
            [s for c, s in done if c.label == cell.label],
            [s for _, s in done],
        )
        times = next(group for group in alike if group)
        return sum(times) / len(times)

    return max(0.0, sum(expected(cell) for cell in todo) - spent_on_first)


class Display:
    """Shows which cell runs, how far it is and when all will be done.

    On a terminal a live display of two rows stays at the bottom; elsewhere a line is printed when
    a cell starts, ends, and every 15 seconds between; if `quiet`, only when one fails. Everything
    goes to standard error.
    """

    def __init__(self, cells: Sequence[AnyCell], quiet: bool = False) -> None:
        self.left = list(cells)  # the first of them runs
        self.count = len(self.left)
        self.console = Console(stderr=True)
        self.quiet = quiet
        self.moves = self.console.is_terminal and not quiet
        self.lines = not self.console.is_terminal and not quiet
        self.finished: list[tuple[AnyCell, float]] = []
        self.failed = 0
        self.stage, self.done, self.total = "", 0, 1
        self.loss: float | None = None
        self.started = self.printed = time.monotonic()
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

    def start(self, cell: AnyCell) -> None:
        """A cell begins."""
        if cell in self.left:  # which another process of this run, that plans alone, may not hold
            self.left.remove(cell)
        self.left.insert(0, cell)
        self.started = self.printed = time.monotonic()
        self.progress("load", 0, 1, None)
        if self.lines:
            self._line(f"{self._number()} {cell}")

    def progress(self, stage: str, done: int, total: int, loss: float | None) -> None:
        """The cell is at `done` of `total` of `stage`; cheap enough to call at every step."""
        self.stage, self.done, self.total, self.loss = stage, done, total, loss
        now = time.monotonic()
        if self.lines and now - self.printed > _LINE_SECONDS:
            self.printed = now
            self._line(f"    {self._where()}, run: {self._eta()}")

    def say(self, text: str) -> None:
        """Something that is to be known of the cell."""
        if not self.quiet:
            self._line(f"{self._number()} {text}")

    def passed(self, cell: AnyCell, result: CellResult) -> None:
        """Another process has ended a cell."""
        self.say(f"{cell}: {result['status']} by another process")
        self.left.remove(cell)

    def end(self, cell: AnyCell, result: CellResult, log: Path | None = None) -> None:
        """The cell is finished or has failed, which is told at length in `log`."""
        seconds = time.monotonic() - self.started
        number = self._number()
        self.left.remove(cell)
        self.finished.append((cell, seconds))
        if result["scores"] is None:
            self.failed += 1
            self._line(f"{number} {cell}: FAILED, {result['error']}\n    log: {log}")
        elif not self.quiet:
            primary = result["scores"]["primary"]
            before, after = result["scores"]["before"][primary], result["scores"]["after"][primary]
            self._line(
                f"{number} {cell}: {primary} x100 {100 * before:.1f} -> {100 * after:.1f}, "
                f"{clock(seconds)}"
            )

    def _number(self) -> str:
        number = min(self.count, self.count - len(self.left) + 1)
        return f"[{number:>{len(str(self.count))}}/{self.count}]"

    def _line(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)
        if not self.console.is_terminal:
            sys.stderr.flush()

    def _where(self) -> str:
        loss = "" if self.loss is None else f", loss {self.loss:.4f}"
        count = "" if self.total <= 1 else f" {self.done}/{self.total}"
        return f"{self.stage}{count}{loss}"

    def _eta(self) -> str:
        spent = time.monotonic() - self.started
        todo = self.left
        left = remaining_seconds(self.finished, todo, spent)
        if left is None and self.stage == "train" and self.done:
            left = spent * (self.total / self.done - 1) + spent * (len(todo) - 1)
        return "time left unknown yet" if left is None else f"{clock(left)} left"

    def _picture(self) -> Table:
        """The live display: the run's row above the cell's."""
        grid = Table.grid(padding=(0, 2))
        if not self.left:
            return grid
        share = 100 * self.done / max(1, self.total)
        cell, done = self.left[0], self.count - len(self.left)
        failed = f", {self.failed} failed" if self.failed else ""
        grid.add_row(
            f"run {done}/{self.count} cells{failed}",
            ProgressBar(total=self.count, completed=done, width=24),
            self._eta(),
        )
        grid.add_row(str(cell), ProgressBar(completed=share, width=24), self._where())
        return grid
