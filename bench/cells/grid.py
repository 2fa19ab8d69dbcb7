"""What to run: a grid of methods, tasks, models and seeds, which expands into cells."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from bench.cells.cell import (
    AnyCell,
    Cell,
    DataSource,
    ForgetSpec,
    MethodSpec,
    ModelInfo,
    RetentionSpec,
    TaskSequence,
    TaskSpec,
    Training,
)


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
    lm_eval: tuple[str, ...] = ()  # tasks of lm-evaluation-harness to score besides

    def cells(self) -> Iterator[AnyCell]:
        """Every cell that can run; the methods of one (model, task, seed) stand together,
        reference first."""
        return (cell for cell, reason in self._all() if reason is None)

    def refusals(self) -> Iterator[tuple[AnyCell, str]]:
        """The cells that cannot run, each with the reason."""
        return ((cell, reason) for cell, reason in self._all() if reason is not None)

    def _all(self) -> Iterator[tuple[AnyCell, str | None]]:
        for model, training in zip(self.models, self.training, strict=True):
            for tasks in (*((task,) for task in self.tasks), *self.sequences):
                for seed in self.seeds:
                    for method in self.methods:
                        stages = self._stages(method, tasks, model, training, seed)
                        cell = stages[0] if len(stages) == 1 else TaskSequence(stages)
                        key = RefusalKey(model.name, method.label, cell.name)
                        yield cell, self.refused.get(key)

    def _stages(
        self,
        method: MethodSpec,
        tasks: tuple[TaskSpec, ...],
        model: ModelInfo,
        training: Training,
        seed: int,
    ) -> tuple[Cell, ...]:
        stages: list[Cell] = []
        for task in tasks:
            cell = Cell(
                method=method,
                task=task,
                model=model,
                data=self.data,
                training=training,
                forget=self.forget[task.name],
                retention=self.retention,
                seed=seed,
                steps=self.steps[task.name],
                lm_eval=self.lm_eval,
            )
            stages.append(cell)
            model = dataclasses.replace(model, hash=cell.training_hash)
        return tuple(stages)
