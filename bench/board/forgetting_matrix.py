"""What is learned by what is forgotten: the gain over plain fine-tuning of methods that read a
forgetting task, as the paper on Learning With Forgetting shows it (arXiv 2505.19715)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.board import statistics
from bench.board.grouping import MethodKey, method_of
from bench.board.statistics import Estimate
from bench.cells.cell import REFERENCE
from bench.cells.result import CellResult
from bench.scoring.metrics import is_lower

MIXED = "mixed"


@dataclass(frozen=True)
class ForgettingMatrix:
    """One method: rows are the tasks that are learned, columns those that are forgotten."""

    method: str
    learned: tuple[str, ...]
    forgotten: tuple[str, ...]  # several at once are "mixed", and stand last
    changes: Mapping[tuple[str, str], Estimate]
    """(learned, forgotten) -> mean of the method's scores by that of finetune's on the same seeds,
    less 1; `half` is that of the paired difference by finetune's mean."""


def matrices(
    results: Sequence[CellResult], names: Mapping[MethodKey, str]
) -> tuple[ForgettingMatrix, ...]:
    """A matrix for each method that learned a task with several forgetting tasks, by name."""
    plain: dict[str, dict[int, float]] = {}
    scores: dict[str, dict[tuple[str, tuple[str, ...]], dict[int, float]]] = {}
    for result in results:
        cell, found = result["cell"], result["scores"]
        if result["status"] != "done" or found is None or is_lower(found["primary"]):
            continue
        score = found["after"][found["primary"]]
        forget = tuple(sorted(cell["forget"]["tasks"]))
        if cell["method"] == REFERENCE:
            plain.setdefault(cell["task"], {})[cell["seed"]] = score
        elif forget:
            place = cell["task"], forget
            mine = scores.setdefault(names[method_of(result)], {}).setdefault(place, {})
            mine[cell["seed"]] = score
    built = (_matrix(name, mine, plain) for name, mine in sorted(scores.items()))
    return tuple(one for one in built if len(one.changes) > len(one.learned))


def _matrix(
    name: str,
    scores: Mapping[tuple[str, tuple[str, ...]], Mapping[int, float]],
    plain: Mapping[str, Mapping[int, float]],
) -> ForgettingMatrix:
    several = [task for task, forget in scores if len(forget) > 1]
    changes: dict[tuple[str, str], Estimate] = {}
    for (task, forget), mine in scores.items():
        mixed = len(forget) > 1 and several.count(task) == 1
        column = MIXED if mixed else "+".join(forget)
        if change := _relative(mine, plain.get(task, {})):
            changes[task, column] = change
    columns = {column for _, column in changes}
    return ForgettingMatrix(
        method=name,
        learned=tuple(sorted({task for task, _ in changes})),
        forgotten=tuple(sorted(columns, key=lambda each: (each == MIXED, each))),
        changes=changes,
    )


def _relative(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Estimate | None:
    """None where they have no seed in common, or theirs are not above 0."""
    difference = statistics.paired(ours, theirs)
    base = statistics.estimate([theirs[seed] for seed in ours if seed in theirs])
    if difference is None or base is None or base.mean <= 0:
        return None
    half = None if difference.half is None else difference.half / base.mean
    return Estimate(difference.n, difference.mean / base.mean, half)
