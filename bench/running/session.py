"""A cell while it runs: its model, data and clock, and all that is measured of it."""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from bench.cells.cache import Cache
from bench.cells.cell import REFERENCE, Cell
from bench.core.errors import CellError
from bench.core.hashing import derive_seed
from bench.core.memory import above, higher, memory_mib, release_memory
from bench.network import running_text
from bench.network.batches import Encoded
from bench.network.encoding import encode
from bench.network.likelihood import TaskModel
from bench.network.limits import context_length
from bench.network.loading import load, load_language_model
from bench.rows.label_names import head_order
from bench.rows.source import source_named, source_of
from bench.rows.task import Task, task_hash
from bench.running.workspace import Workspace
from bench.scoring import evaluation as ev
from bench.scoring import glue_server, lm_eval
from bench.scoring.predictions import Outputs, correct, gold_loss, predict, task_scores
from bench.training.context import TrainingContext
from bench.training.loop import TrainingRecord, train
from bench.training.method import METHODS
from bench.training.stack import build

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ForgetScore:
    """How well the model answers the dev rows of a forgetting task."""

    accuracy: float | None  # share; None: no answer is right or wrong
    loss: float  # of the right answers, nats per token
    rows: int


@dataclass
class Measured:
    """All that is measured of one state of the model."""

    outputs: dict[str, Outputs]  # dev split -> its rows' outputs
    forget: list[ForgetScore]  # per forgetting task
    retention: tuple[float, int] | None  # (nats per token, tokens)
    facts: list[bool] | None  # which questions on what pretraining told are answered right
    lm_eval: lm_eval.Found | None


class CellSession:
    """A cell's model, data and clock between its base and its result."""

    def __init__(self, cell: Cell, workspace: Workspace) -> None:
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
        release_memory()  # of the cell before
        order = head_order(self.task, cell.model.head)
        self.loaded = load(cell.model, self.task.outputs, self.head_seed, order)
        length = min(cell.training.max_length, context_length(self.loaded.net))
        recipe, rows = cell.training, workspace.encoded_rows
        self.dev = {
            split: rows(cell, self.task, split, recipe.max_eval, length)
            for split in source_of(self.task, cell.data.source).splits(self.task)[1:]
        }
        self.forget: list[tuple[Task, Encoded]] = []  # none on an encoder: its head has one task
        if cell.model.kind == "causal":
            share = max(1, recipe.forget_rows // max(1, len(forget)))
            self.forget = [(t, rows(cell, t, "dev", share, length)) for t in forget]
        self.run = TrainingContext(
            cell=cell,
            task=self.task,
            forget=forget,
            retention=workspace.material.retention,
            loaded=self.loaded,
            tokenizer=self.tokenizer,
            train_rows=rows(cell, self.task, "train", recipe.max_train, length),
            forget_rows={
                task.name: workspace.rows_of(task, cell.data.source, "train") for task in forget
            },
            # TaskModel has the recipe's precision, whatever accelerate is configured to
            accelerator=Accelerator(mixed_precision="no", gradient_accumulation_steps=1),
            cache=self.cache,
            progress=workspace.progress,
            finetuned=partial(finetuned, cell, workspace, self.cache),
            truth=source_named(cell.data.source).truth(),
            micro_batch=workspace.micro_batch,
        )
        self.loaded_mib = memory_mib()
        self.lap("load")

    def lap(self, part: str) -> None:
        """Book the seconds since the last lap under `part`."""
        now = time.perf_counter()
        self.seconds[part], self.clock = now - self.clock, now

    def learn(self, folder: Path, share_weights: bool) -> TrainingRecord:
        """Train from the base or from the checkpoint in `folder`; see `bench.training.loop.train`.

        Raises:
            CellError: the loss or a weight is not a finite number.
        """
        cell = self.cell
        record = self._recalled() or self._trained(folder)
        self.drift = ev.drift(self.loaded)
        if not math.isfinite(self.drift):
            raise CellError(f"the weights are not finite after {cell.steps} steps")
        if share_weights and cell.method.name == REFERENCE:
            weights = {name: p.detach() for name, p in self.run.net.named_parameters()}
            seconds = record["prepare"] + record["train"]
            self.cache.put_tensors("finetuned", _finetuned_key(cell, None), weights, seconds)
        return record

    def _trained(self, folder: Path) -> TrainingRecord:
        """Train, and keep the weights where the run keeps them."""
        record = train(self.run, self.method, folder)
        record["memory"] = higher(record["memory"], above(self.loaded_mib))
        if self.run.accelerator.is_main_process:
            weights = dict(self.run.net.named_parameters())
            self.workspace.weights.keep(self.cell, self.task.outputs, weights, record)
        return record

    def _recalled(self) -> TrainingRecord | None:
        """Put the weights of an earlier training of this cell back, for whatever it is that is
        measured now; None where there are none."""
        found = self.workspace.weights.find(self.cell)
        mine = dict(self.run.net.named_parameters())
        if found is None or found.tensors.keys() != mine.keys():
            return None
        import torch

        with torch.no_grad():
            for name, parameter in mine.items():
                parameter.copy_(found.tensors[name])
        record = cast(TrainingRecord, found.record)
        self.run.step = self.cell.steps
        self.run.reported, self.run.notes = record["reported"], record["notes"]
        return record

    def answer_test_rows(self) -> None:
        """Keep what the model answers to the test rows of GLUE's server."""
        task, answers = self.task, {}
        for sheet, rows in glue_server.test_rows(task, self.cell.data.source).items():
            self.workspace.progress(f"answer {sheet}", 0, 1, None)
            found = encode(rows, task, self.tokenizer, self.cell.model.kind, self.run.max_length)
            outputs = self._outputs(found, task, base=False)
            answers[sheet] = glue_server.spelled(task, predict(task, found, outputs))
        if answers and self.run.accelerator.is_main_process:
            glue_server.keep(self.workspace.folder, self.cell, answers)

    def measure(self, base: bool) -> Measured:
        """Score the dev rows, the forgetting tasks, the retention text and the facts; the base's
        scores come from the cache where another cell has computed them."""
        return Measured(
            outputs=self.dev_outputs(base),
            forget=self.forgotten(base),
            retention=self.retention(base),
            facts=self._facts(base),
            lm_eval=self.lm_eval(base),
        )

    def forgotten(self, base: bool) -> list[ForgetScore]:
        """The score of each forgetting task."""
        measured = []
        for task, rows in self.forget:
            found = self._outputs(rows, task, base)
            right = correct(task, rows, predict(task, rows, found))
            share = None if right is None else sum(right) / len(right)
            measured.append(ForgetScore(share, gold_loss(rows, found), len(rows)))
        return measured

    def dev_outputs(self, base: bool) -> dict[str, Outputs]:
        """What the model says to the rows of each dev split."""
        task = self.task
        return {split: self._outputs(rows, task, base) for split, rows in self.dev.items()}

    def _outputs(self, rows: Encoded, task: Task, base: bool) -> Outputs:
        def compute() -> dict[str, Any]:
            what = f"score {'base ' if base else ''}{task.name}"
            self.workspace.progress(what, 0, 1, None)
            model, accelerator = self.run.task_model, self.run.accelerator
            return dataclasses.asdict(ev.outputs(model, task, rows, self.tokenizer, accelerator))

        key = {**self._base_key(task), "rows": rows.ids}
        return Outputs(**(self.cache.json("outputs", key, compute) if base else compute()))

    def _facts(self, base: bool) -> list[bool] | None:
        """Which facts a causal LM recalls, in the order of `Source.facts`."""
        known = source_named(self.cell.data.source).facts()
        if known is None or self._kind != "causal":
            return None
        task, rows = known
        encoded = encode(rows, task, self.tokenizer, "causal", self.run.max_length)
        return correct(task, encoded, predict(task, encoded, self._outputs(encoded, task, base)))

    def task_scores(self, outputs: dict[str, Outputs]) -> tuple[dict[str, float], list[str]]:
        """The task's metrics on dev, and on each further split with the split's name in front;
        and what is to be known of them."""
        found: dict[str, float] = {}
        notes: list[str] = []
        for split, rows in self.dev.items():
            front = "" if split == "dev" else f"{split}_"
            values, remarks = task_scores(self.task, rows, outputs[split])
            if rows.alike:
                remarks = [*remarks, f"{rows.alike} different rows are alike when shortened"]
            notes += [f"{front}{remark}" for remark in remarks]
            found |= {f"{front}{name}": value for name, value in values.items()}
        return found, notes

    def _base_key(self, task: Task) -> dict[str, Any]:
        """What the untouched model's scores on a task depend on."""
        cell = self.cell
        head = cell.seed if cell.model.kind == "encoder" else None  # a new head is drawn by seed
        return {
            "model": cell.model.hash,
            "kind": cell.model.kind,
            "task": task_hash(task),
            "data": self.workspace.material.hashes.get(task.name),
            "length": self.run.max_length,
            "head": head,
        }

    def retention(self, base: bool) -> tuple[float, int] | None:
        """Loss on the retention text; None for an encoder without a text file, or without what
        predicts words."""
        words = self.cell.model.predicts_words and self.tokenizer.mask_token_id is not None
        blocks = self._retention_blocks() if words or self._kind == "causal" else None
        if blocks is None:
            return None
        cell = self.cell

        def compute() -> tuple[float, int]:
            model = self.run.task_model
            if cell.model.kind == "encoder":
                net = load_language_model(cell.model).to(self.run.device)
                ev.backbone_into(net, self.loaded)
                model = TaskModel(net)
            return running_text.mean_loss(
                model, running_text.text_batches(blocks, self.tokenizer, self._kind)
            )

        if not base:
            return compute()
        key = [cell.model.hash, cell.model.kind, cell.retention.hash, blocks]
        loss, tokens = self.cache.json("retention", key, compute)
        return loss, tokens

    def lm_eval(self, base: bool) -> lm_eval.Found | None:
        """Scores on tasks of lm-evaluation-harness; None where none were asked for."""
        names, limit = self.cell.lm_eval, self.cell.training.max_eval
        if not names:
            return None

        def compute() -> lm_eval.Found:
            self.workspace.progress(f"lm-eval {', '.join(names)}", 0, 1, None)
            return lm_eval.scores(self.run.net, self.tokenizer, names, limit)

        key = [self.cell.model.hash, names, limit, lm_eval.installed()]
        found: lm_eval.Found = self.cache.json("lm-eval", key, compute) if base else compute()
        return found

    @property
    def _kind(self) -> str:
        return self.cell.model.kind

    def _retention_blocks(self) -> running_text.Blocks | None:
        cell, wanted = self.cell, self.cell.training.retention_tokens
        given = self.workspace.material.retention
        if given is not None:
            return running_text.cut_blocks(
                given,
                self.tokenizer,
                wanted,
                scored=True,
                kind=cell.model.kind,
                length=running_text.block_length(self.run.net),
            )
        if cell.model.kind == "encoder":
            return None

        def compute() -> running_text.Blocks:
            count = max(1, wanted // running_text.BLOCK)
            self.workspace.progress("sample retention text", 0, count, None)
            return running_text.sampled_blocks(
                self.run.net, self.tokenizer, cell.model, count, "retention"
            )

        blocks: running_text.Blocks = self.cache.json(
            "retention-text", [cell.model.hash, wanted], compute
        )
        return blocks


def finetuned(
    cell: Cell, workspace: Workspace, cache: Cache, steps: int | None
) -> dict[str, Tensor]:
    """See `TrainingContext.finetuned`. It knows no session: a session that it knew would know it
    too, and neither would leave memory with its cell."""

    def compute() -> dict[str, Tensor]:
        plain = METHODS.get(REFERENCE)
        total = cell.steps if steps is None else min(steps, cell.steps)
        other = dataclasses.replace(cell, method=plain(plain.Config()).spec, steps=total)
        inner = CellSession(other, workspace)
        record = train(inner.run, inner.method, None)
        cache.compile_seconds += record["compile"]
        return {name: p.detach() for name, p in inner.run.net.named_parameters()}

    return cache.tensors("finetuned", _finetuned_key(cell, steps), compute)


def _finetuned_key(cell: Cell, steps: int | None) -> Any:
    """What plain fine-tuned weights depend on."""
    its = cell.identity()
    parts = {"model": its["model"], "task_hash": its["task_hash"], "data": its["data"]}
    return [parts | {"seed": its["seed"], "training": its["training"]}, cell.steps, steps]
