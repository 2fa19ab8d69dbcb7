"""What cells take, seconds and memory, by those that were measured."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import TYPE_CHECKING, Any

from bench.cells.cell import AnyCell, Identity, TaskSequence
from bench.cells.measured import asked
from bench.core.machine import gpu_names, gpus
from bench.core.provenance import processor

if TYPE_CHECKING:
    from bench.cells.result import CellResult
    from bench.planning.plan import Plan

HERE, ALIKE, PROBED, ROUGH = "measured here", "like cells", "a few steps", "rough"
"""How sure an estimate is: by cells that differ in the seed alone; by the same method, model and
task, steps and rows being counted; by a probe, likewise; by other methods or tasks, or another
machine."""
_MEASURED = ("scores", "retention", "lm_eval", "retain_tasks", "path", "probe")
_TEXT_TOKENS = 32  # of running text, which are scored about as fast as a row

Place = tuple[str, str, str]  # model, method, task


@dataclass(frozen=True)
class Estimate:
    """What a cell will take."""

    seconds: float
    memory_mib: float | None  # the peak of its process, or on its GPU
    sure: str  # HERE, ALIKE or ROUGH


@dataclass(frozen=True)
class _Sample:
    """What a finished cell took."""

    seconds: float  # all of it
    train: float
    score: float
    steps: int
    texts: int  # that were scored
    memory_mib: float | None
    here: bool
    probed: bool

    def scaled(self, steps: int, texts: int) -> float:
        """Seconds of a cell of so many steps and scored texts."""
        fixed = max(0.0, self.seconds - self.train - self.score)
        train = self.train * steps / self.steps if self.steps else 0.0
        return fixed + train + self.score * texts / max(1, self.texts)


@dataclass
class Estimates:
    """The measured cells of a run and its folder; `rows` are the dev rows of its tasks."""

    rows: Mapping[str, int]
    _same: dict[str, list[_Sample]] = field(default_factory=dict)  # all but the seed alike
    _alike: dict[Place, list[_Sample]] = field(default_factory=dict)
    _found: dict[str, Estimate | None] = field(default_factory=dict)

    @classmethod
    def of_plan(cls, plan: Plan, results: Iterable[CellResult]) -> Estimates:
        """Those for the cells of a plan, by results that are there."""
        found = cls({t: len(rows) for (t, _, s), rows in plan.material.rows.items() if s == "dev"})
        found.add(results)
        return found

    def add(self, results: Iterable[CellResult], probed: bool = False) -> None:
        """Learn from cells, as far as they are finished, or from such as were only `probed`."""
        here: dict[str, bool] = {}
        for result in results:
            if result["costs"] is None:
                continue
            made = result["provenance"]
            machine = json.dumps([made.get("processor"), made.get("gpus")])
            if machine not in here:
                here[machine] = _is_this_machine(made)
            sample, identity = _sample(result, here[machine], probed), result["cell"]
            self._same.setdefault(_recipe(identity, result["measured"]), []).append(sample)
            self._alike.setdefault(_place(identity), []).append(sample)
        self._found.clear()

    def of(self, cell: AnyCell) -> Estimate | None:
        """What a cell will take; None where none of its model was measured."""
        identity = cell.identity()
        key = _recipe(identity, asked(cell))
        if key not in self._found:
            self._found[key] = self._estimate(cell, identity, key) or self._summed(cell)
        return self._found[key]

    def seconds(self, cell: AnyCell) -> float | None:
        """How long a cell will take, as `of` says."""
        found = self.of(cell)
        return None if found is None else found.seconds

    def knows(self, cell: AnyCell) -> bool:
        """Whether cells of its model were measured of its method, and of its task."""
        model, method, task = _place(cell.identity())
        known = [where for where in self._alike if where[0] == model]
        return any(at[1] == method for at in known) and any(at[2] == task for at in known)

    def remaining(self, cells: Sequence[AnyCell], spent: float) -> float | None:
        """What these cells will take one after the other, on which `spent` seconds were spent;
        what is unknown takes as long as the others do; None where nothing is known."""
        known = [seconds for cell in cells if (seconds := self.seconds(cell)) is not None]
        return max(0.0, fmean(known) * len(cells) - spent) if known else None

    def _estimate(self, cell: AnyCell, identity: Identity, key: str) -> Estimate | None:
        model, method, task = place = _place(identity)
        if same := self._same.get(key):
            best = _best(same)
            return _estimated([one.seconds for one in best], best, HERE)
        steps, texts = self._size(cell)
        times = {
            where: fmean(one.scaled(steps, texts) for one in _best(samples))
            for where, samples in self._alike.items()
            if where[0] == model
        }
        if place in times:
            best = _best(self._alike[place])
            sure = PROBED if all(one.probed for one in best) else ALIKE
            return _estimated([times[place]], best, sure)
        own = [where for where in times if where[1] == method]
        there = [where for where in times if where[2] == task]
        ratios = [
            times[mine] * times[other] / times[model, other[1], mine[2]]
            for mine in own
            for other in there
            if times.get((model, other[1], mine[2]))
        ]
        used = own or there or list(times)
        samples = [one for where in used for one in self._alike[where]]
        return _estimated(ratios or [times[where] for where in used], samples, ROUGH)

    def _summed(self, cell: AnyCell) -> Estimate | None:
        """What a sequence will take, by its stages."""
        if not isinstance(cell, TaskSequence):
            return None
        start = cell.stages[0].model
        parts = [self.of(replace(stage, model=start)) for stage in cell.stages]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        memory = max((part.memory_mib or 0.0 for part in known), default=0.0) or None
        return Estimate(sum(part.seconds for part in known), memory, ROUGH)

    def _size(self, cell: AnyCell) -> tuple[int, int]:
        """Steps of a cell, and the texts that it scores."""
        stages = cell.stages if isinstance(cell, TaskSequence) else (cell,)
        recipe = stages[0].training
        rows = [self.rows[stage.task.name] for stage in stages]
        scored = sum(min(count, recipe.max_eval or count) for count in rows)
        besides = recipe.forget_rows + recipe.retention_tokens // _TEXT_TOKENS
        return sum(stage.steps for stage in stages), scored + besides


def _estimated(seconds: Sequence[float], samples: Sequence[_Sample], sure: str) -> Estimate | None:
    if not seconds:
        return None
    memory = max((one.memory_mib or 0.0 for one in samples), default=0.0) or None
    return Estimate(fmean(seconds), memory, sure if any(one.here for one in samples) else ROUGH)


def _best(samples: Sequence[_Sample]) -> Sequence[_Sample]:
    """Whole cells of this machine, where there are any, else what there is of it."""
    here = [one for one in samples if one.here]
    return [one for one in here if not one.probed] or here or samples


def _sample(result: CellResult, here: bool, probed: bool) -> _Sample:
    costs, measured = result["costs"], result["measured"]
    assert costs is not None
    score = costs["score_before"] + costs["score_after"]
    # a cell that was stopped, or only scored, was trained in another call
    parts = costs["load"] + score + costs["train"] + costs["finish"]
    tokens = measured.get("retention", {}).get("tokens", 0)
    besides = measured.get("forgotten", {}).get("rows", 0) + tokens // _TEXT_TOKENS
    return _Sample(
        seconds=max(costs["total"], parts),
        train=costs["train"],
        score=score,
        steps=costs["steps"],
        texts=result["data"].get("dev_rows", 0) + besides,
        memory_mib=costs["peak_memory_mib"],
        here=here,
        probed=probed,
    )


def _place(identity: Identity) -> Place:
    return identity["model"]["hash"], identity["method"], identity["task"]


def _recipe(identity: Identity, measured: Mapping[str, Any]) -> str:
    """All that a cell's time depends on; a text, to look it up by."""
    parts = identity["settings"], identity["training"], identity["forget"], identity["data"]
    on = {part: measured.get(part) for part in _MEASURED}
    return json.dumps([*_place(identity), *parts, on], sort_keys=True)


def _is_this_machine(made: Mapping[str, Any]) -> bool:
    """Whether a result was made on a machine like this one."""
    theirs = set(made.get("gpus") or ())
    alike = theirs <= set(gpu_names()) and bool(theirs) == bool(gpus())
    return alike and made.get("processor") == processor()
