"""What the base model's own answers say, and how well a method's confidence ranks them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.board import statistics
from bench.board.grouping import MethodKey, method_of
from bench.board.statistics import Estimate
from bench.cells.result import CellResult, Elicited, Judged, Weighed


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
    unlearned: Estimate | None  # and among those that are


@dataclass(frozen=True)
class Ranking:
    """One task and method, over the seeds that weighed answers by the forgetting confidence: what
    learning the task does to those that may be unlearned."""

    title: str
    method: str
    kept: Estimate  # rise of their loss from θ0 to θ*, nats per token
    unlearned: Estimate  # of those that are unlearned
    rise: Estimate | None  # rank correlation of the confidence with that rise
    limit: Estimate | None  # and with its limit α → 0
    taught: (
        Estimate | None
    )  # ROC AUC, conflicting against true, of items asked about and taught ...
    taught_rise: Estimate | None  # ... by the rise in place of the confidence
    untaught: Estimate | None
    untaught_rise: Estimate | None


def elicitations(
    results: Sequence[CellResult], names: Mapping[MethodKey, str]
) -> tuple[Elicitation, ...]:
    """A row per task and method that elicited answers of known truth, by task."""
    groups = _groups(results, names, lambda found: found["all"]["conflicting"] is not None)
    return tuple(_elicitation(*group) for group in groups)


def rankings(results: Sequence[CellResult], names: Mapping[MethodKey, str]) -> tuple[Ranking, ...]:
    """A row per task and method that selected answers by their confidence, by task."""
    groups = _groups(results, names, lambda found: found.get("weighed") is not None)
    return tuple(_ranking(*group) for group in groups)


def _groups(
    results: Sequence[CellResult],
    names: Mapping[MethodKey, str],
    wanted: Callable[[Elicited], bool],
) -> list[tuple[str, str, list[Elicited]]]:
    """(title of the task, method, what its cells elicited), of those that are wanted."""
    groups: dict[tuple[str, str], tuple[str, str, list[Elicited]]] = {}
    for result in results:
        found = result["elicited"]
        if found is not None and wanted(found):
            task, name = result["cell"]["task"], names[method_of(result)]
            title = result["labels"].get("task", task)
            groups.setdefault((task, name), (title, name, []))[2].append(found)
    return [groups[key] for key in sorted(groups)]


def _elicitation(title: str, method: str, found: Sequence[Elicited]) -> Elicitation:
    answers = statistics.estimate([one["all"]["answers"] for one in found])
    assert answers is not None, "a group has a cell"
    return Elicitation(
        title=title,
        method=method,
        answers=answers,
        true=_share([one["all"] for one in found], "true"),
        conflicting=_share([one["all"] for one in found]),
        kept=_share([one["kept"] for one in found]),
        unlearned=_share([one["unlearned"] for one in found]),
    )


def _share(
    judged: Sequence[Judged], kind: Literal["conflicting", "true"] = "conflicting"
) -> Estimate | None:
    """The conflicting or the true ones among the answers, where there are any."""
    return statistics.estimate(
        [(one[kind] or 0) / one["answers"] for one in judged if one["answers"]]
    )


def _ranking(title: str, method: str, found: Sequence[Elicited]) -> Ranking:
    weighed = [its for one in found if (its := one.get("weighed"))]
    kept = statistics.estimate([one["rise_kept"] for one in weighed])
    unlearned = statistics.estimate([one["rise_unlearned"] for one in weighed])
    assert kept is not None and unlearned is not None, "a group has a cell"

    def of(value: Callable[[Weighed], float | None]) -> Estimate | None:
        return statistics.estimate([x for one in weighed if (x := value(one)) is not None])

    def auc(taught: bool, name: Literal["auc", "auc_rise"]) -> Estimate | None:
        found = [one["taught" if taught else "untaught"] for one in weighed]
        return statistics.estimate([x for its in found if its and (x := its[name]) is not None])

    return Ranking(
        title=title,
        method=method,
        kept=kept,
        unlearned=unlearned,
        rise=of(lambda one: one["rank_rise"]),
        limit=of(lambda one: one["rank_limit"]),
        taught=auc(True, "auc"),
        taught_rise=auc(True, "auc_rise"),
        untaught=auc(False, "auc"),
        untaught_rise=auc(False, "auc_rise"),
    )
