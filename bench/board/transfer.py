"""Negative transfer: what a conflict planted in pretraining costs, and what a method wins back.

A conflicted model may name its twin (`labels["twin"]`), pretrained on the same budget without the
conflict. Where both were fine-tuned in the same way, the difference is the conflict's doing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.board import statistics
from bench.board.grouping import MethodKey, canonical, method_of
from bench.board.statistics import Estimate
from bench.cells.cell import REFERENCE
from bench.cells.result import CellResult

_OWN = ("model", "method", "settings", "forget", "seed")
"""What may differ between a cell and its twin's."""


@dataclass(frozen=True)
class Transfer:
    """One task of a conflicted model beside its twin; primary metric, in metric units."""

    task: str
    title: str
    metric: str
    twin: str
    before: Estimate | None  # the conflicted model untouched
    twin_before: Estimate | None
    after: Estimate | None  # fine-tuned with the reference method
    twin_after: Estimate | None
    negative: Estimate | None  # twin_after - after, paired by seed
    ceiling: Estimate | None
    """Share of the dev rows in dispute that the untouched conflicted model gets right once the
    planted answer is struck out: what forgetting could reach without learning anything."""
    ceiling_after: Estimate | None  # the same once it was fine-tuned
    two_answers: bool  # to choose from: to forget the one is to learn the other
    recovered: dict[str, Estimate]
    """Method -> share of `negative` that it wins back on the conflicted model, over the seeds that
    all three have; empty unless `negative` is more than twice its half-width: a share of what
    may be almost nothing says nothing."""


def transfers(
    own: Sequence[CellResult], others: Iterable[CellResult], names: Mapping[MethodKey, str]
) -> tuple[Transfer, ...]:
    """A board's tasks beside the same tasks of its model's twin, where `others` holds those; none
    where they hold two models of the twin's name (checkpoints of two generations)."""
    twins: dict[str, dict[int, CellResult]] = {}
    wanted = {result["labels"].get("twin") for result in own}
    models = set()
    for result in others:
        reference = result["cell"]["method"] == REFERENCE and result["status"] == "done"
        if reference and result["labels"]["model"] in wanted:
            twins.setdefault(_setting(result), {})[result["cell"]["seed"]] = result
            models.add(canonical(result["cell"]["model"]))
    if len(models) > 1:
        return ()
    found = []
    for task in sorted({result["cell"]["task"] for result in own}):
        cells = [r for r in own if r["cell"]["task"] == task and r["status"] == "done"]
        if cells and _setting(cells[0]) in twins:
            found.append(_transfer(cells, twins[_setting(cells[0])], names))
    return tuple(found)


def _transfer(
    cells: Sequence[CellResult], twins: Mapping[int, CellResult], names: Mapping[MethodKey, str]
) -> Transfer:
    by_method: dict[MethodKey, dict[int, CellResult]] = {}
    for cell in cells:
        by_method.setdefault(method_of(cell), {})[cell["cell"]["seed"]] = cell
    plain = next((mine for key, mine in by_method.items() if key.method == REFERENCE), {})
    ours, theirs = _scores(plain, "after"), _scores(twins, "after")
    negative = statistics.paired(theirs, ours)
    recovered: dict[str, Estimate] = {}
    if negative and negative.half is not None and negative.mean > 2 * negative.half:
        for key, mine in by_method.items():
            shared = {seed: ours[seed] for seed in ours.keys() & theirs.keys() & mine.keys()}
            tuned = _scores(mine, "after")
            gained = {seed: tuned[seed] - score for seed, score in shared.items()}
            lost = {seed: theirs[seed] - score for seed, score in shared.items()}
            share = statistics.ratio(gained, lost)
            if key.method != REFERENCE and share is not None and math.fsum(lost.values()) > 0:
                recovered[names[key]] = share
    labels, scores = cells[0]["labels"], cells[0]["scores"]
    assert scores is not None, "a finished cell has scores"
    return Transfer(
        task=cells[0]["cell"]["task"],
        title=labels.get("task", cells[0]["cell"]["task"]),
        metric=scores["primary"],
        twin=labels["twin"],
        before=statistics.estimate(list(_scores(plain, "before").values())),
        twin_before=statistics.estimate(list(_scores(twins, "before").values())),
        after=statistics.estimate(list(ours.values())),
        twin_after=statistics.estimate(list(theirs.values())),
        negative=negative,
        ceiling=_ceiling(plain, "before"),
        ceiling_after=_ceiling(plain, "after"),
        two_answers=any(c["ceiling"] is not None and c["ceiling"]["answers"] == 2 for c in cells),
        recovered=recovered,
    )


def _scores(cells: Mapping[int, CellResult], when: str) -> dict[int, float]:
    """Seed -> primary score "before" or "after"."""
    found = {}
    for seed, cell in cells.items():
        scores = cell["scores"]
        assert scores is not None, "a finished cell has scores"
        table = scores["before"] if when == "before" else scores["after"]
        found[seed] = table[scores["primary"]]
    return found


def _ceiling(cells: Mapping[int, CellResult], when: Literal["before", "after"]) -> Estimate | None:
    found = [cell["ceiling"][when] for cell in cells.values() if cell["ceiling"] is not None]
    return statistics.estimate(found)


def _setting(result: CellResult) -> str:
    return canonical({k: v for k, v in result["cell"].items() if k not in _OWN})
