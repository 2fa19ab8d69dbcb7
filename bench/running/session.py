"""A cell while it runs: its model, data and clock."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from bench.cells.cache import Cache
from bench.cells.cell import REFERENCE, Besides, Cell
from bench.cells.recipe import BEST_ON_DEV, BEST_ON_VALIDATION, Training
from bench.cells.weights import Kept
from bench.core.errors import CellError
from bench.core.hashing import derive_seed
from bench.core.launcher import shards
from bench.core.memory import above, higher, memory_mib, release_memory
from bench.network.batches import Encoded
from bench.network.limits import context_length
from bench.network.loading import Loaded, load
from bench.rows.label_names import head_order
from bench.rows.portions import VALIDATION
from bench.rows.source import source_named, source_of
from bench.rows.task import Row, Task
from bench.running.measuring import Measuring
from bench.running.probing import Probing, probing
from bench.running.sharing import processes
from bench.running.workspace import Workspace
from bench.scoring import evaluation as ev
from bench.scoring.metrics import is_lower
from bench.scoring.predictions import task_scores
from bench.training.context import TrainingContext
from bench.training.loop import TrainingRecord, train
from bench.training.memory import free_memory
from bench.training.method import METHODS
from bench.training.stack import build

if TYPE_CHECKING:
    from torch import Tensor


class CellSession:
    """A cell's model, data and clock between its base and its result."""

    def __init__(self, cell: Cell, workspace: Workspace, loaded: Loaded | None = None) -> None:
        """Load the cell's model, unless there is one whose weights are its base's."""
        from accelerate import Accelerator

        self.clock = self.start = time.perf_counter()
        self.seconds: dict[str, float] = {}
        self.cell, self.workspace = cell, workspace
        # its own, so that nothing it learns or half-finishes reaches another cell
        self.method = build(cell.method)
        tasks = workspace.material.tasks
        self.task, forget = tasks[cell.task.name], tuple(tasks[n] for n in cell.forget.tasks)
        workspace.progress("load", 0, 1, None)
        self.cache = workspace.open_cache()
        self.tokenizer = workspace.tokenizer(cell.model)
        self.head_seed = derive_seed(cell.task.name, cell.seed, "head")
        self.loaded = loaded or self._load()
        if workspace.on_disk and loaded is None:
            self.loaded.base = self._on_disk()
        length = min(cell.training.max_length, context_length(self.loaded.net))
        recipe, rows = cell.training, workspace.encoded_rows
        self.dev = {
            split: rows(cell, self.task, split, recipe.max_eval, length)
            for split in _scored(recipe, source_of(self.task, cell.data.source).splits(self.task))
        }
        scored: list[tuple[Task, Encoded]] = []
        retained: list[tuple[Task, Encoded]] = []
        if cell.model.kind == "causal" and recipe.score != VALIDATION:
            share = max(1, recipe.forget_rows // max(1, len(forget)))
            scored = [(t, rows(cell, t, "dev", share, length)) for t in forget]
            others = [tasks[task.name] for task in cell.besides.retain_tasks]
            retained = [(t, rows(cell, t, "dev", recipe.max_eval, length)) for t in others]
        self.run = TrainingContext(
            cell=cell,
            task=self.task,
            forget=forget,
            retention=workspace.material.retention,
            loaded=self.loaded,
            tokenizer=self.tokenizer,
            train_rows=rows(cell, self.task, "train", recipe.max_train, length),
            forget_rows={task.name: workspace.portions(cell, task).others for task in forget},
            # TaskModel has the recipe's precision, whatever accelerate is configured to
            accelerator=Accelerator(
                mixed_precision="no",
                gradient_accumulation_steps=1,
                log_with=workspace.tracker,
                project_dir=workspace.folder / "trackers",
            ),
            cache=self.cache,
            progress=workspace.progress,
            finetuned=partial(finetuned, cell, workspace, self.cache, self.loaded),
            prompt_rows=partial(_prompt_rows, workspace, cell),
            source=source_named(cell.data.source),
            judge=self._judge(),
            micro_batch=workspace.micro_batch,
            on_disk=workspace.on_disk,
        )
        self.measuring = Measuring(cell, self.task, self.run, workspace, self.dev, scored, retained)
        self.probing: Probing | None = None  # where the training is watched
        self.loaded_mib = memory_mib()
        self.lap("load")

    def _load(self) -> Loaded:
        """The network that the cell before has left to this one, or one that is read."""
        cell, task = self.cell, self.task
        found = self.workspace.take(self._loaded_as)
        if shards():
            free_memory()  # a network that was sharded stands in a circle with its hooks
        release_memory()  # of the cell before
        if found is not None:
            found.draw_head(self.head_seed)
            return found
        order, held = head_order(task, cell.model.head), cell.training.weights
        copied = self.workspace.on_disk or not self.method.leaves_theta0
        return load(cell.model, task.outputs, self.head_seed, order, held, copied)

    @property
    def _loaded_as(self) -> Any:
        """What the network depends on, but for the weights of a new head, where it can go from one
        cell to the next; None where it cannot."""
        cell, task = self.cell, self.task
        moves = self.workspace.on_disk or cell.model.weights or processes() > 1
        if moves or not self.method.leaves_theta0:
            return None
        return cell.model, task.outputs, head_order(task, cell.model.head), cell.training.weights

    def leave(self) -> None:
        """Leave the network at θ0 to the next cell, where the method has left that alone. It is
        this session's no longer."""
        if self._loaded_as is not None:
            self.loaded.put_back()
            self.workspace.left = self._loaded_as, self.loaded

    def _on_disk(self) -> dict[str, Tensor]:
        """θ0, mapped from a file of the run's cache."""
        cell = self.cell
        head = cell.task.hash if cell.model.kind == "encoder" else None  # its labels' order
        key = [cell.model.hash, cell.model.kind, cell.training.weights, head]
        return self.cache.mapped("theta0", key, lambda: self.loaded.base)

    @property
    def shown(self) -> tuple[str, Encoded]:
        """The split whose score boards show, and its rows."""
        return next(iter(self.dev.items()))

    def _judge(self) -> Callable[[TrainingContext], float] | None:
        """See `TrainingContext.judge`."""
        splits = {BEST_ON_VALIDATION: VALIDATION, BEST_ON_DEV: "dev"}
        split = splits.get(self.cell.training.select)
        return None if split is None else partial(_goodness, self.task, self.dev[split])

    def lap(self, part: str) -> None:
        """Book the seconds since the last lap under `part`."""
        now = time.perf_counter()
        self.seconds[part], self.clock = now - self.clock, now

    def learn(
        self, folder: Path, share_weights: bool, kept: Kept | None, watched: bool = False
    ) -> TrainingRecord:
        """Put kept weights of this cell back; where there are none, train from the base or from
        the checkpoint in `folder`, see `bench.training.loop.train`. A `watched` training is
        trained and probed, whatever there is.

        Raises:
            CellError: the loss or a weight is not a finite number.
        """
        cell = self.cell
        known = None if watched else self._put_back(kept) or self._finished()
        record = known or self._trained(folder, watched)
        self.drift = ev.drift(self.loaded)
        if not math.isfinite(self.drift):
            raise CellError(f"the weights are not finite after {cell.steps} steps")
        if share_weights and cell.method.name == REFERENCE and cell.method.lr is None:
            weights = {name: p.detach() for name, p in self.run.net.named_parameters()}
            seconds = record["prepare"] + record["train"]
            self.cache.put_tensors("finetuned", _finetuned_key(cell, None), weights, seconds)
        return record

    def _trained(self, folder: Path, watched: bool) -> TrainingRecord:
        """Train, and keep the weights where the run keeps them."""
        if watched:
            self.run.probe = self.probing = probing(self.measuring, *self.shown)
        release_memory()  # what scoring took
        record = train(self.run, self.method, folder)
        record["memory"] = higher(record["memory"], above(self.loaded_mib))
        self.run.optimizer.state.clear()  # nobody takes a step any more, and scoring needs room
        release_memory()
        self._keep(record)
        return record

    def _finished(self) -> TrainingRecord | None:
        """The training of a method that acts behind the last step alone: plain fine-tuning's, as
        it was kept, charged with what it cost there. None where it was not kept."""
        if self.method.roles != {"finish"} or self.cell.method.lr is not None:
            return None
        plain = METHODS.get(REFERENCE)
        other = dataclasses.replace(self.cell, method=plain(plain.Config()).spec)
        record = self._put_back(self.workspace.weights.find(other))
        if record is None:
            return None
        clock = time.perf_counter()
        self.method.finish(self.run)
        record["finish"] = time.perf_counter() - clock
        self._keep(record)
        return record

    def _keep(self, record: TrainingRecord) -> None:
        """Keep the weights where the run keeps them."""
        if self.run.accelerator.is_main_process:
            weights = dict(self.run.net.named_parameters())
            self.workspace.weights.keep(self.cell, self.task.outputs, weights, record)

    def _put_back(self, found: Kept | None) -> TrainingRecord | None:
        """Put the weights of an earlier training back, for whatever it is that is measured now;
        None where there are none."""
        mine = dict(self.run.net.named_parameters())
        if found is None or found.tensors.keys() != mine.keys():
            return None
        for name, parameter in mine.items():
            parameter.data = found.tensors[name].to(parameter, copy=True)  # θ0 may be what it was
        record = cast(TrainingRecord, found.record)
        self.run.step = self.cell.steps
        self.run.reported, self.run.notes = record["reported"], record["notes"]
        return record


def _prompt_rows(workspace: Workspace, cell: Cell, task: Task) -> list[Row]:
    """See `TrainingContext.prompt_rows`."""
    split = source_of(task, cell.data.source).prompt_split(task)
    if split == "train":
        return workspace.portions(cell, task).others
    return workspace.rows_of(task, cell.data.source, split)


def _goodness(task: Task, rows: Encoded, run: TrainingContext) -> float:
    """The primary metric of the model on some rows, turned round where less is better. (It knows
    no session, as `finetuned`.)"""
    found = ev.outputs(run.task_model, task, rows, run.tokenizer, run.accelerator)
    value = task_scores(task, rows, found)[0][task.primary]
    return -value if is_lower(task.primary) else value


def _scored(recipe: Training, splits: Sequence[str]) -> tuple[str, ...]:
    """Those of a task's splits that are scored, first the one that boards show."""
    own = (VALIDATION,) if recipe.validation else ()
    return own if recipe.score == VALIDATION else (*splits[1:], *own)


def finetuned(
    cell: Cell, workspace: Workspace, cache: Cache, loaded: Loaded, steps: int | None
) -> dict[str, Tensor]:
    """See `TrainingContext.finetuned`. The network is lent for it, so that there are not two. It
    knows no session: a session that it knew would know it too, and neither would leave memory with
    its cell."""

    def compute() -> dict[str, Tensor]:
        plain = METHODS.get(REFERENCE)
        total = cell.steps if steps is None else min(steps, cell.steps)
        other = dataclasses.replace(cell, method=plain(plain.Config()).spec, steps=total)
        other = dataclasses.replace(other, besides=Besides())
        lent = None if shards() else loaded  # one that was sharded cannot be once more
        with loaded.holding(loaded.base) if lent else nullcontext():
            inner = CellSession(other, workspace, lent)
            record = train(inner.run, inner.method, None)
            cache.compile_seconds += record["compile"]
            return {name: p.detach().clone() for name, p in inner.run.net.named_parameters()}

    found = cache.tensors("finetuned", _finetuned_key(cell, steps), compute)
    if shards():
        free_memory()  # of the other network
    return found


def _finetuned_key(cell: Cell, steps: int | None) -> Any:
    """What plain fine-tuned weights depend on."""
    its = cell.identity()
    parts = {"model": its["model"], "task_hash": its["task_hash"], "data": its["data"]}
    return [parts | {"seed": its["seed"], "training": its["training"]}, cell.steps, steps]
