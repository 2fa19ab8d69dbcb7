"""Scores of lm-evaluation-harness before and after, as boards show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.board import statistics
from bench.board.grouping import MethodKey, method_of
from bench.board.statistics import Estimate
from bench.cells.result import CellResult


@dataclass(frozen=True)
class Outside:
    """One measure of one task of the harness, in its own units, over the seeds of a method."""

    learned: str  # the task that was
    title: str  # of that
    method: str
    task: str  # of the harness
    metric: str  # "metric,filter"
    before: Estimate
    after: Estimate


def outsides(results: Sequence[CellResult], names: Mapping[MethodKey, str]) -> tuple[Outside, ...]:
    """A row per task of the harness, its metric, task that was learned, and method."""
    groups: dict[tuple[str, str, str, str], list[tuple[float, float]]] = {}
    titles = {}
    for result in results:
        if (found := result["lm_eval"]) is None:
            continue
        learned = result["cell"]["task"]
        titles[learned] = result["labels"].get("task", learned)
        for task, values in found["after"].items():
            for metric, after in values.items():
                if (before := found["before"].get(task, {}).get(metric)) is not None:
                    key = (task, metric, learned, names[method_of(result)])
                    groups.setdefault(key, []).append((before, after))
    rows = []
    for (task, metric, learned, method), pairs in sorted(groups.items()):
        before_, after_ = (statistics.estimate(column) for column in zip(*pairs, strict=True))
        assert before_ is not None and after_ is not None, "a group has a cell"
        rows.append(Outside(learned, titles[learned], method, task, metric, before_, after_))
    return tuple(rows)
