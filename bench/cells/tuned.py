"""How the settings of a method were chosen: part of what a cell is, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict


class TunedIdentity(TypedDict):
    """What a search depends on, beside the cell's own parts."""

    trials: int
    share: float  # of the steps of a cell that is reported
    seed: int
    space: dict[str, str]  # setting -> what it is searched over, in words
    settings: dict[str, Any]  # the method's, before the search


@dataclass(frozen=True)
class Tuned:
    """A finished search. Its cells are those of one method, whatever was chosen on each task."""

    identity: TunedIdentity
    chosen: dict[str, Any]  # setting -> value; none where the first trial, as asked for, was best
    failed: int  # trials without a score
    best: float | None  # score on validation rows, in metric units; None where all failed
    worst: float | None
    seconds: float  # what the trials took, as boards count a method's time
