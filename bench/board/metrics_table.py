"""A task's other metrics, before and after: F1 beside accuracy, Spearman beside Pearson, the
mismatched dev set beside the matched one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.board import statistics
from bench.board.grouping import MethodKey, method_of
from bench.board.statistics import Estimate
from bench.cells.result import CellResult
from bench.rows.portions import VALIDATION
from bench.scoring.metrics import on_split


@dataclass(frozen=True)
class OtherMetric:
    """One metric that is not its task's primary one, over the finished seeds of a method."""

    task: str
    title: str  # of the task
    metric: str
    method: str
    before: Estimate
    after: Estimate


def other_metrics(
    results: Sequence[CellResult], names: Mapping[MethodKey, str]
) -> tuple[OtherMetric, ...]:
    """A row per task, metric and method, in this order."""
    groups: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
    titles = {}
    for result in results:
        if (scores := result["scores"]) is None:
            continue
        task = result["cell"]["task"]
        titles[task] = result["labels"].get("task", task)
        boards_show = {scores["primary"], on_split(VALIDATION, scores["primary"])}
        for metric in scores["after"].keys() & scores["before"].keys() - boards_show:
            pair = scores["before"][metric], scores["after"][metric]
            groups.setdefault((task, metric, names[method_of(result)]), []).append(pair)
    rows = []
    for (task, metric, method), pairs in sorted(groups.items()):
        before, after = (statistics.estimate(column) for column in zip(*pairs, strict=True))
        assert before is not None and after is not None, "a group has a cell"
        rows.append(OtherMetric(task, titles[task], metric, method, before, after))
    return tuple(rows)
