"""How well a method's confidence finds the conflicting ones among the base model's own answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench import stats
from bench.grouping import MethodKey, method_of
from bench.results import CellResult, Judged
from bench.stats import Estimate


@dataclass(frozen=True)
class Elicitation:
    """One task and method, over the seeds whose data tells true answers from conflicting ones.

    Shares are of the answers that can be told, the conflicting and the true ones.
    """

    title: str
    method: str
    answers: Estimate  # how many the base model gave
    told: Estimate  # share of them that can be told
    conflicting: Estimate | None  # share of these in all answers
    unlearned: Estimate | None  # and in those that are unlearned
    auc: Estimate | None  # ROC AUC of the confidence for "conflicting"; 0.5 is chance


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
    answers = stats.estimate([one["all"]["answers"] for one in found])
    told = stats.estimate([_told(one["all"]) / one["all"]["answers"] for one in found])
    assert answers is not None and told is not None, "a group has a cell"
    task = cells[0]["cell"]["task"]
    return Elicitation(
        title=cells[0]["labels"].get("task", task),
        method=name,
        answers=answers,
        told=told,
        conflicting=_share([one["all"] for one in found]),
        unlearned=_share([one["unlearned"] for one in found]),
        auc=stats.estimate([one["auc"] for one in found if one["auc"] is not None]),
    )


def _told(judged: Judged) -> int:
    return (judged["conflicting"] or 0) + (judged["true"] or 0)


def _share(judged: Sequence[Judged]) -> Estimate | None:
    """The conflicting ones among those that can be told, where there are any."""
    return stats.estimate([(one["conflicting"] or 0) / _told(one) for one in judged if _told(one)])
