"""What can be said of methods that share one seed only with the reference: McNemar's test on the
answers of the two runs, row by row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from bench.board import statistics
from bench.board.grouping import MethodKey, method_of
from bench.board.rows import reference_of
from bench.board.statistics import ALPHA
from bench.cells.reading import DamagedError
from bench.cells.result import CellResult, Predictions
from bench.scoring.chance import given
from bench.scoring.predictions import right

Answers = Callable[[CellResult], Predictions | None]
"""Where a cell's answers are read; None where they were not kept."""
Word = Literal["more right", "fewer right", "no difference shown"]


@dataclass(frozen=True)
class OneSeed:
    """One method and the reference on the dev rows of one task, from the same seed."""

    task: str
    title: str
    method: str
    seed: int
    rows: int
    more: int  # rows that only the method answers right
    fewer: int  # rows that only the reference answers right
    p: float  # of McNemar's exact test, two-sided
    p_holm: float  # adjusted to all such tests of the board
    word: Word


def one_seed(
    by_task: Mapping[str, Sequence[CellResult]], names: Mapping[MethodKey, str], answers: Answers
) -> tuple[OneSeed, ...]:
    """A row per task and method with one seed in common with the reference, where answers are right
    or wrong and both cells kept theirs whole. Only answers of such cells are read."""
    found = [
        _compared(mine, reference, names, answers)
        for cells in by_task.values()
        for mine, reference in _pairs(cells, names)
    ]
    tests = [one for one in found if one is not None]
    adjusted = statistics.holm([one.p for one in tests])
    return tuple(
        replace(one, p_holm=p, word=_word(one, p)) for one, p in zip(tests, adjusted, strict=True)
    )


def _pairs(
    cells: Sequence[CellResult], names: Mapping[MethodKey, str]
) -> list[tuple[CellResult, CellResult]]:
    """A task's finished cells, each with the reference's, by method name, of methods that share one
    seed with it."""
    reference = reference_of(names)
    done = [one for one in cells if one["status"] == "done" and one["flips"]]
    base = {one["cell"]["seed"]: one for one in done if method_of(one) == reference}
    shared: dict[MethodKey, list[CellResult]] = {}
    for one in done:
        if method_of(one) != reference and one["cell"]["seed"] in base:
            shared.setdefault(method_of(one), []).append(one)
    return [
        (mine[0], base[mine[0]["cell"]["seed"]])
        for _, mine in sorted(shared.items(), key=lambda item: names[item[0]])
        if len(mine) == 1
    ]


def _compared(
    mine: CellResult, reference: CellResult, names: Mapping[MethodKey, str], answers: Answers
) -> OneSeed | None:
    try:
        ours, theirs = (right_rows(one, answers(one)) for one in (mine, reference))
    except DamagedError:
        return None
    if ours is None or theirs is None or ours.keys() != theirs.keys():
        return None
    more = sum(ours[row] and not theirs[row] for row in ours)
    fewer = sum(theirs[row] and not ours[row] for row in ours)
    cell = mine["cell"]
    return OneSeed(
        task=cell["task"],
        title=mine["labels"].get("task", cell["task"]),
        method=names[method_of(mine)],
        seed=cell["seed"],
        rows=len(ours),
        more=more,
        fewer=fewer,
        p=(p := statistics.mcnemar(more, fewer)),
        p_holm=p,
        word="no difference shown",
    )


def right_rows(result: CellResult, answers: Predictions | None) -> dict[str, bool] | None:
    """Which dev rows a finished cell answers right, by their ids; None where its answers were not
    kept, or are not those that it was scored by."""
    if answers is None or result["flips"] is None:
        return None
    count, chance = result["data"]["dev_rows"], result["chance"]
    ids, gold, after = (answers[name][:count] for name in ("id", "gold", "after"))
    if len(ids) < count or (chance and given(after)["hash"] != chance["after"]["hash"]):
        return None
    return dict(zip(ids, right(gold, after), strict=True))


def _word(found: OneSeed, p: float) -> Word:
    if p >= ALPHA:
        return "no difference shown"
    return "more right" if found.more > found.fewer else "fewer right"
