"""How well a method's confidence finds the conflicting ones among the base model's own answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.board import statistics
from bench.board.grouping import MethodKey, method_of
from bench.board.statistics import Estimate
from bench.cells.result import CellResult, Judged


@dataclass(frozen=True)
class Elicitation:
    """One task and method, over the seeds whose data tells true answers from conflicting ones.

    Shares are of all answers in question, also those that cannot be told (wrong in both worlds).
    """

    title: str
    method: str
    answers: Estimate  # how many the base model gave
    true: Estimate | None  # share of them that is true
    conflicting: Estimate | None  # and that repeats planted knowledge
    kept: Estimate | None  # share of conflicting ones among those that may be unlearned
    unlearned: Estimate | None  # and among those that are, by their confidence
    auc: Estimate | None  # of the confidence: conflicting against true, all answers; chance 0.5


def elicitations(
    results: Sequence[CellResult], names: Mapping[MethodKey, str]
) -> tuple[Elicitation, ...]:
    """A row per task and method that elicited answers of known truth, by task."""
    groups: dict[tuple[str, str], list[CellResult]] = {}
    for result in results:
        found = result["elicited"]
        if found is not None and found["all"]["conflicting"] is not None:
            name = names[method_of(result)]
            groups.setdefault((result["cell"]["task"], name), []).append(result)
    return tuple(_elicitation(name, cells) for (_, name), cells in sorted(groups.items()))


def _elicitation(name: str, cells: Sequence[CellResult]) -> Elicitation:
    found = [cell["elicited"] for cell in cells if cell["elicited"] is not None]
    answers = statistics.estimate([one["all"]["answers"] for one in found])
    assert answers is not None, "a group has a cell"
    task = cells[0]["cell"]["task"]
    return Elicitation(
        title=cells[0]["labels"].get("task", task),
        method=name,
        answers=answers,
        true=_share([one["all"] for one in found], "true"),
        conflicting=_share([one["all"] for one in found]),
        kept=_share([one["kept"] for one in found]),
        unlearned=_share([one["unlearned"] for one in found]),
        auc=statistics.estimate([one["auc"] for one in found if one["auc"] is not None]),
    )


def _share(
    judged: Sequence[Judged], kind: Literal["conflicting", "true"] = "conflicting"
) -> Estimate | None:
    """The conflicting or the true ones among the answers, where there are any."""
    return statistics.estimate(
        [(one[kind] or 0) / one["answers"] for one in judged if one["answers"]]
    )
