"""How settings were chosen: what each method's search found on each task, and what it cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.board.grouping import MethodKey, method_of
from bench.cells.result import CellResult
from bench.cells.tuned import TunedIdentity
from bench.scoring.metrics import is_lower


@dataclass(frozen=True)
class Searched:
    """The search of one method on one task."""

    title: str  # of the task
    method: str
    asked: TunedIdentity
    chosen: dict[str, Any]  # setting -> value; none: as they were asked for
    failed: int  # trials
    best: float | None  # scores on validation rows, in metric units
    worst: float | None
    lower: bool  # whether less of the score is better
    seconds: float  # of all trials
    cells: float | None  # the same in cells that are reported, by their mean time


def searches(results: Sequence[CellResult], names: Mapping[MethodKey, str]) -> tuple[Searched, ...]:
    """One for each task and method whose settings were searched, in this order."""
    groups: dict[tuple[str, str], list[CellResult]] = {}
    for result in results:
        if "tuning" in result:
            key = result["cell"]["task"], names[method_of(result)]
            groups.setdefault(key, []).append(result)
    return tuple(_searched(found, method) for (_, method), found in sorted(groups.items()))


def _searched(found: Sequence[CellResult], method: str) -> Searched:
    cell, tuning = found[0]["cell"], found[0]["tuning"]
    times = [result["costs"]["method"] for result in found if result["costs"]]
    mean = sum(times) / len(times) if times else 0.0
    primary = next((result["scores"]["primary"] for result in found if result["scores"]), "")
    return Searched(
        title=found[0]["labels"].get("task", cell["task"]),
        method=method,
        asked=cell["tuned"],
        chosen=tuning["chosen"],
        failed=tuning["failed"],
        best=tuning["best"],
        worst=tuning["worst"],
        lower=is_lower(primary),
        seconds=tuning["seconds"],
        cells=tuning["seconds"] / mean if mean else None,
    )
