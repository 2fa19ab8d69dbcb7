"""What to run: a grid of methods, tasks, models and seeds, which expands into cells."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bench.cells.cell import (
    THEN,
    AnyCell,
    Besides,
    Cell,
    DataSource,
    ForgetSpec,
    MethodSpec,
    ModelInfo,
    RetentionSpec,
    TaskSequence,
    TaskSpec,
)
from bench.cells.recipe import Training


class RefusalKey(NamedTuple):
    """Cells that cannot run, of all seeds: names of the model and the task, and the method's
    label."""

    model: str
    method: str
    task: str


@dataclass(frozen=True)
class RunSpec:
    """A grid of cells that share everything but method, task, model and seed."""

    methods: tuple[MethodSpec, ...]
    tasks: tuple[TaskSpec, ...]
    sequences: tuple[tuple[TaskSpec, ...], ...]
    models: tuple[ModelInfo, ...]
    data: DataSource
    training: tuple[Training, ...]  # one per model: the default rate depends on its size
    forget: dict[str, ForgetSpec]  # task -> its forgetting task(s)
    retention: RetentionSpec
    seeds: tuple[int, ...]
    steps: dict[str, int]  # task -> optimizer steps
    refused: dict[RefusalKey, str]  # what does not fit, and why
    besides: Besides = field(default_factory=Besides)
    chosen: dict[RefusalKey, MethodSpec] = field(default_factory=dict)  # by searches, of all seeds
    searched: frozenset[RefusalKey] = frozenset()  # whose settings are not known yet

    def cells(self) -> Iterator[AnyCell]:
        """Every cell that can run; the methods of one (model, task, seed) stand together,
        reference first. Those whose settings are still searched for are not among them."""
        return (cell for cell, reason in self._all() if reason is None)

    def refusals(self) -> Iterator[tuple[AnyCell, str]]:
        """The cells that cannot run, each with the reason."""
        return ((cell, reason) for cell, reason in self._all() if reason is not None)

    def places(self) -> Iterator[tuple[ModelInfo, Training, tuple[TaskSpec, ...]]]:
        """Each model with its recipe and what it learns: a task, or several one after the other."""
        for model, training in zip(self.models, self.training, strict=True):
            for tasks in (*((task,) for task in self.tasks), *self.sequences):
                yield model, training, tasks

    def cell(
        self,
        method: MethodSpec,
        tasks: tuple[TaskSpec, ...],
        model: ModelInfo,
        training: Training,
        seed: int,
        share: float = 1.0,
        trial: int | None = None,
    ) -> AnyCell:
        """The cell of one place, method and seed; a `trial` may have a `share` of the steps."""
        stages: list[Cell] = []
        learned = {task.name for task in tasks}
        others = tuple(task for task in self.besides.retain_tasks if task.name not in learned)
        besides = dataclasses.replace(self.besides, retain_tasks=others)
        for task in tasks:
            steps = self.steps[task.name]
            if share < 1:
                steps = math.ceil(share * steps)
                training = dataclasses.replace(training, steps=steps)
            cell = Cell(
                method=method,
                task=task,
                model=model,
                data=self.data,
                training=training,
                forget=self.forget[task.name],
                retention=self.retention,
                seed=seed,
                steps=steps,
                besides=besides,
                trial=trial,
            )
            stages.append(cell)
            model = dataclasses.replace(model, hash=cell.training_hash)
        return stages[0] if len(stages) == 1 else TaskSequence(tuple(stages))

    def _all(self) -> Iterator[tuple[AnyCell, str | None]]:
        for model, training, tasks in self.places():
            for seed in self.seeds:
                for method in self.methods:
                    key = key_of(model, method, tasks)
                    if key not in self.searched:
                        own = self.chosen.get(key, method)
                        yield self.cell(own, tasks, model, training, seed), self.refused.get(key)


def key_of(model: ModelInfo, method: MethodSpec, tasks: Sequence[TaskSpec]) -> RefusalKey:
    """The key of all seeds of a place and a method, as it was asked for."""
    return RefusalKey(model.name, method.label, THEN.join(task.name for task in tasks))
