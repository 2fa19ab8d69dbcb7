"""Of the base model's own answers: how many there were, may be unlearned, and are."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.board.grouping import MethodKey, method_of
from bench.cells.result import CellResult

Stage = Literal["all", "kept", "unlearned"]
STAGES: dict[Stage, str] = {
    "all": "all answers",
    "kept": "may be unlearned",
    "unlearned": "are unlearned",
}
"""A stage of the selection -> what it is called."""
_BINS = 20


@dataclass(frozen=True)
class Counted:
    """Answers at one stage, means over seeds; None where the data does not tell what they say."""

    answers: float
    conflicting: float | None  # repeat what was planted
    true: float | None


@dataclass(frozen=True)
class Selected:
    """One method on one task."""

    task: str
    title: str
    method: str
    seeds: int
    stages: dict[Stage, Counted]


def selected(cells: Iterable[CellResult], names: Mapping[MethodKey, str]) -> tuple[Selected, ...]:
    """A record per task and method that draws answers from the base model, in this order."""
    groups: dict[tuple[str, str], list[CellResult]] = {}
    for cell in cells:
        if cell["elicited"] is not None:
            groups.setdefault((cell["cell"]["task"], names[method_of(cell)]), []).append(cell)
    return tuple(
        Selected(
            task=task,
            title=found[0]["labels"].get("task", task),
            method=method,
            seeds=len(found),
            stages={stage: _counted(found, stage) for stage in STAGES},
        )
        for (task, method), found in sorted(groups.items())
    )


@dataclass(frozen=True)
class Histogram:
    """How the answers of one method on one task are spread by the forgetting confidence, all its
    seeds together; what lies beyond the edges is in the outermost bins."""

    title: str
    method: str
    seeds: int
    edges: tuple[float, ...]  # shape (bins + 1,)
    kept: tuple[int, ...]  # of those that may be unlearned, shape (bins,)
    unlearned: tuple[int, ...]


def histograms(
    cells: Iterable[CellResult], names: Mapping[MethodKey, str]
) -> tuple[Histogram, ...]:
    """A record per task and method whose confidences were kept, in this order."""
    groups: dict[tuple[str, str], list[tuple[str, list[float], list[float]]]] = {}
    for cell in cells:
        weighed = cell["elicited"].get("weighed") if cell["elicited"] else None
        if weighed and (kept := weighed.get("scores_kept")):
            task = cell["cell"]["task"]
            one = cell["labels"].get("task", task), kept, weighed.get("scores_unlearned", [])
            groups.setdefault((task, names[method_of(cell)]), []).append(one)
    found = []
    for (_, method), each in sorted(groups.items()):
        kept = sorted(value for _, values, _ in each for value in values)
        chosen = [value for _, _, values in each for value in values]
        edges = _edges(kept)
        counts = tuple(_binned(values, edges) for values in (kept, chosen))
        found.append(Histogram(each[0][0], method, len(each), edges, *counts))
    return tuple(found)


def _edges(values: Sequence[float]) -> tuple[float, ...]:
    """Of bins from the 2nd to the 98th percentile of sorted values; never empty ones."""
    cut = len(values) // 50
    low, high = values[cut], values[-1 - cut]
    room = high - low or abs(low) or 1.0
    return tuple(low + room * i / _BINS for i in range(_BINS + 1))


def _binned(values: Iterable[float], edges: Sequence[float]) -> tuple[int, ...]:
    counts = [0] * _BINS
    for value in values:
        counts[min(max(bisect_right(edges, value) - 1, 0), _BINS - 1)] += 1
    return tuple(counts)


def _counted(cells: list[CellResult], stage: Stage) -> Counted:
    judged = [cell["elicited"][stage] for cell in cells if cell["elicited"] is not None]
    told = all(one["conflicting"] is not None and one["true"] is not None for one in judged)
    return Counted(
        answers=sum(one["answers"] for one in judged) / len(judged),
        conflicting=sum(one["conflicting"] or 0 for one in judged) / len(judged) if told else None,
        true=sum(one["true"] or 0 for one in judged) / len(judged) if told else None,
    )
