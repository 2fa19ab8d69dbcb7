"""Retention tasks, which no cell of a board learned: their scores before and after, and flips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.board import statistics
from bench.board.grouping import MethodKey, method_of
from bench.board.statistics import Estimate
from bench.cells.result import CellResult, RetainedTask


@dataclass(frozen=True)
class Retained:
    """A retention task beside a task that was learned, over the finished seeds of a method."""

    learned: str
    title: str  # of what was learned
    task: str  # of which something may be lost
    metric: str
    method: str
    before: Estimate
    after: Estimate
    change: Estimate  # after − before
    lost: Estimate | None  # share beyond chance; None where answers are not right or wrong
    gained: Estimate | None


def retained_tasks(
    results: Sequence[CellResult], names: Mapping[MethodKey, str]
) -> tuple[Retained, ...]:
    """A row per task that was learned, retention task and method, in this order."""
    groups: dict[tuple[str, str, str], list[RetainedTask]] = {}
    titles = {}
    for result in results:
        learned = result["cell"]["task"]
        titles[learned] = result["labels"].get("task", learned)
        for task, found in (result["retain_tasks"] or {}).items():
            groups.setdefault((learned, task, names[method_of(result)]), []).append(found)
    return tuple(
        _row(learned, titles[learned], task, method, cells)
        for (learned, task, method), cells in sorted(groups.items())
    )


def _row(
    learned: str, title: str, task: str, method: str, cells: Sequence[RetainedTask]
) -> Retained:
    before, after, change = (
        statistics.estimate(values)
        for values in (
            [cell["before"] for cell in cells],
            [cell["after"] for cell in cells],
            [cell["after"] - cell["before"] for cell in cells],
        )
    )
    assert before and after and change, "a group has a cell"
    lost, gained = _flips(cells, "lost_adjusted"), _flips(cells, "gained_adjusted")
    return Retained(
        learned, title, task, cells[0]["metric"], method, before, after, change, lost, gained
    )


def _flips(
    cells: Sequence[RetainedTask], name: Literal["lost_adjusted", "gained_adjusted"]
) -> Estimate | None:
    """The mean over all cells; None where one has none."""
    found = [cell["flips"][name] for cell in cells if cell["flips"] and name in cell["flips"]]
    return statistics.estimate(found) if len(found) == len(cells) else None
