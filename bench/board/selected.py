"""Of the base model's own answers: how many there were, may be unlearned, and are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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


def _counted(cells: list[CellResult], stage: Stage) -> Counted:
    judged = [cell["elicited"][stage] for cell in cells if cell["elicited"] is not None]
    told = all(one["conflicting"] is not None and one["true"] is not None for one in judged)
    return Counted(
        answers=sum(one["answers"] for one in judged) / len(judged),
        conflicting=sum(one["conflicting"] or 0 for one in judged) / len(judged) if told else None,
        true=sum(one["true"] or 0 for one in judged) / len(judged) if told else None,
    )
