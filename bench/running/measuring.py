"""What is measured of a cell's model: answers, losses on texts, facts, other suites' scores."""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bench.cells.cell import Cell
from bench.core.memory import release_memory
from bench.network import running_text
from bench.network.batches import Encoded
from bench.network.encoding import encode
from bench.network.likelihood import TaskModel
from bench.network.loading import load_language_model
from bench.rows.portions import VALIDATION
from bench.rows.source import source_named, source_of
from bench.rows.task import Row, Task, task_hash
from bench.running.workspace import Workspace
from bench.scoring import evaluation as ev
from bench.scoring import glue_server, lm_eval
from bench.scoring.metrics import on_split
from bench.scoring.predictions import Outputs, predict, struck_out, task_scores
from bench.training.context import TrainingContext

if TYPE_CHECKING:
    from torch import Tensor


ON_PATH = ("scores", "retention", "retain_tasks")
"""What is measured at each point of the path of weights."""


@dataclass(frozen=True)
class Questions:
    """Questions on what pretraining told."""

    task: Task
    rows: list[Row]
    encoded: Encoded


@dataclass(frozen=True)
class Measured:
    """What is measured of one state of the model; nothing in it was not asked for, or cannot be."""

    outputs: dict[str, Outputs]  # dev split -> its rows' outputs
    forget: dict[str, Outputs]  # forgetting task -> its rows'
    retention: running_text.TextLoss | None
    facts: Outputs | None  # to `Measuring.questions`
    lm_eval: lm_eval.Found | None
    retained: dict[str, Outputs]  # retention task -> its rows'


@dataclass(frozen=True)
class Measuring:
    """Measures the model of `run` as it is now, or `base`, untouched; what was computed of the base
    for another cell comes from the cache."""

    cell: Cell
    task: Task
    run: TrainingContext
    workspace: Workspace
    dev: dict[str, Encoded]  # split that is scored -> its rows
    forget: list[tuple[Task, Encoded]]  # none on an encoder: its head has one task
    retain: list[tuple[Task, Encoded]]  # retention tasks; none on an encoder either

    def answer_test_rows(self) -> None:
        """Keep what the model answers to the test rows of GLUE's server."""
        task, answers = self.task, {}
        for sheet, rows in glue_server.test_rows(task, self.cell.data.source).items():
            self.workspace.progress(f"answer {sheet}", 0, 1, None)
            kind, length = self.cell.model.kind, self.run.max_length
            found = encode(rows, task, self.run.tokenizer, kind, length)
            outputs = self._outputs(found, task, base=False)
            answers[sheet] = glue_server.spelled(task, predict(task, found, outputs))
        if answers and self.run.accelerator.is_main_process:
            glue_server.keep(self.workspace.folder, self.cell, answers)

    def measure(self, base: bool, parts: Container[str]) -> Measured:
        """Measure these parts of `bench.cells.measured.PARTS`; the base's come from the cache where
        another cell has computed them."""
        with self.run.task_model.unchanged():
            return Measured(
                outputs=self.dev_outputs(base) if "scores" in parts else {},
                forget=self._to_each(self.forget, base) if "forgotten" in parts else {},
                retention=self.retention(base) if "retention" in parts else None,
                facts=self.facts(base) if "facts" in parts else None,
                lm_eval=self.lm_eval(base) if "lm_eval" in parts else None,
                retained=self._to_each(self.retain, base) if "retain_tasks" in parts else {},
            )

    def path(self, before: Measured, after: Measured) -> dict[float, Measured]:
        """What is measured at θ0 + α(θ − θ0), by α = 0, 1/n, ..., 1; the ends are known. A new head
        stays as it was trained. The weights are θ again in the end."""
        points = self.cell.besides.path
        tuned = {name: p.detach() for name, p in self.run.loaded.pretrained()}
        found = {0.0: before}
        for number in range(1, points):
            alpha = number / points
            self.workspace.progress(f"score at α = {alpha:g}", number, points, None)
            self._put(tuned, 1 - alpha)
            found[alpha] = self.measure(False, ON_PATH)
        self._put(tuned, 0)
        return {**found, 1.0: after}

    def _put(self, tuned: Mapping[str, Tensor], back: float) -> None:
        """Let the weights be the tuned ones, or some way `back` to θ0."""
        for name, parameter in self.run.loaded.pretrained():
            value = tuned[name].lerp(self.run.anchor[name], back) if back else tuned[name]
            parameter.data = value

    def _to_each(self, tasks: list[tuple[Task, Encoded]], base: bool) -> dict[str, Outputs]:
        """What the model says to the rows of each task."""
        return {task.name: self._outputs(rows, task, base) for task, rows in tasks}

    def dev_outputs(self, base: bool) -> dict[str, Outputs]:
        """What the model says to the rows of each dev split."""
        task = self.task
        return {split: self._outputs(rows, task, base) for split, rows in self.dev.items()}

    def _outputs(self, rows: Encoded, task: Task, base: bool) -> Outputs:
        def compute() -> dict[str, Any]:
            what = f"score {'base ' if base else ''}{task.name}"
            self.workspace.progress(what, 0, 1, None)
            run = self.run
            found = ev.outputs(run.task_model, task, rows, run.tokenizer, run.accelerator)
            release_memory()  # or the next rows' would come on top
            return dataclasses.asdict(found)

        key = {**self._base_key(task), "rows": rows.ids}
        return Outputs(**(self.run.cache.json("outputs", key, compute) if base else compute()))

    def facts(self, base: bool) -> Outputs | None:
        """What the model says to the questions."""
        asked = self.questions
        return None if asked is None else self._outputs(asked.encoded, asked.task, base)

    @cached_property
    def questions(self) -> Questions | None:
        """Those of `Source.facts`; None where there are none, or for what is no causal LM."""
        known = source_named(self.cell.data.source).facts()
        if known is None or self._kind != "causal" or self._chooses:
            return None
        task, rows = known
        encoded = encode(rows, task, self.run.tokenizer, "causal", self.run.max_length)
        return Questions(task, rows, encoded)

    @cached_property
    def foils(self) -> list[int | None]:
        """Of each dev row the wrong answer that was planted; none of validation rows alone."""
        if "dev" not in self.dev:
            return []
        data = self.cell.data.source
        source = source_of(self.task, data)
        by_id = {row["id"]: row for row in self.workspace.rows_of(self.task, data, "dev")}
        return [source.foil(by_id[name]) for name in self.dev["dev"].ids]

    @property
    def disputed(self) -> list[tuple[str, int]]:
        """Id and right answer of the dev rows to which planted knowledge gives another."""
        dev = self.dev.get("dev")
        rows = zip(dev.ids, dev.gold, self.foils, strict=True) if dev else ()
        return [(name, gold) for name, gold, foil in rows if foil is not None]

    def struck_out(self, found: Measured) -> list[int] | None:
        """What is answered to them with the planted answer struck out; None where no answer is
        chosen."""
        if "dev" not in found.outputs:
            return None
        return struck_out(self.task, self.dev["dev"], found.outputs["dev"], self.foils)

    def task_scores(self, outputs: dict[str, Outputs]) -> tuple[dict[str, float], list[str]]:
        """The task's metrics on dev, and on each further split with the split's name in front;
        and what is to be known of them."""
        found: dict[str, float] = {}
        notes: list[str] = []
        for split, rows in self.dev.items():
            values, remarks = task_scores(self.task, rows, outputs[split])
            if rows.alike:
                remarks = [*remarks, f"{rows.alike} different rows are alike when shortened"]
            notes += [on_split(split, remark) for remark in remarks]
            found |= {on_split(split, name): value for name, value in values.items()}
        return found, notes

    def _base_key(self, task: Task) -> dict[str, Any]:
        """What the untouched model's scores on a task depend on."""
        cell = self.cell
        head = cell.seed if cell.model.kind == "encoder" else None  # a new head is drawn by seed
        return {
            "model": cell.base_hash,
            "kind": cell.model.kind,
            "task": task_hash(task),
            "data": self.workspace.material.hashes.get(task.name),
            "length": self.run.max_length,
            "head": head,
        }

    def retention(self, base: bool) -> running_text.TextLoss | None:
        """Loss on the retention text; None for an encoder without a text file, or without what
        predicts words."""
        words = self.cell.model.predicts_words and self.run.tokenizer.mask_token_id is not None
        reads = (words or self._kind == "causal") and not self._chooses
        blocks = self.retention_blocks() if reads else None
        if blocks is None:
            return None
        cell = self.cell

        def compute() -> dict[str, Any]:
            model = self.run.task_model
            if cell.model.kind == "encoder":
                net = load_language_model(cell.model).to(self.run.device)
                ev.backbone_into(net, self.run.loaded)
                model = TaskModel(net, scoring=cell.training.scoring)
            batches = running_text.text_batches(blocks, self.run.tokenizer, self._kind)
            return dataclasses.asdict(running_text.text_loss(model, batches))

        key = [cell.base_hash, cell.model.kind, cell.retention.hash, blocks]
        found = self.run.cache.json("retention-loss", key, compute) if base else compute()
        return running_text.TextLoss(**found)

    def lm_eval(self, base: bool) -> lm_eval.Found | None:
        """Scores on tasks of lm-evaluation-harness; None where none were asked for."""
        names, limit = self.cell.besides.lm_eval, self.cell.training.max_eval
        if not names:
            return None

        def compute() -> lm_eval.Found:
            self.workspace.progress(f"lm-eval {', '.join(names)}", 0, 1, None)
            with self.run.task_model.arithmetic(training=False):
                return lm_eval.scores(self.run.net, self.run.tokenizer, names, limit)

        key = [self.cell.base_hash, names, limit, lm_eval.installed()]
        found: lm_eval.Found = self.run.cache.json("lm-eval", key, compute) if base else compute()
        return found

    @property
    def _chooses(self) -> bool:
        """Whether settings are chosen by this cell: then nothing that is reported is looked at."""
        return self.cell.training.score == VALIDATION

    @property
    def _kind(self) -> str:
        return self.cell.model.kind

    def retention_blocks(self) -> running_text.Blocks | None:
        """The retention text in tokens; None for an encoder without a text file."""
        cell, wanted = self.cell, self.cell.training.retention_tokens
        given = self.workspace.material.retention
        if given is not None:
            return running_text.cut_blocks(
                given,
                self.run.tokenizer,
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
                self.run.net, self.run.tokenizer, cell.model, count, "retention"
            )

        blocks: running_text.Blocks = self.run.cache.json(
            "retention-text", [cell.base_hash, wanted], compute
        )
        return blocks
