"""What a cell takes of memory, and computes, before anything is loaded.

Copies of the weights are counted by its method's word; passes over its longest rows are made
through a network without values.
"""

from __future__ import annotations

import heapq
import json
import logging
import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch

from bench.cells.cell import AnyCell, Cell, MethodSpec, ModelInfo, TaskSequence
from bench.core.memory import IMPORTED_MIB, Footprint
from bench.network.batches import Encoded, collate
from bench.network.encoding import encode
from bench.network.generation import SIDE_BY_SIDE, STARTS
from bench.network.likelihood import longest
from bench.network.limits import cached_bytes, context_length, vocabulary
from bench.network.loading import load_tokenizer
from bench.network.outline import (
    Shape,
    emptied,
    operations,
    read,
    scored,
    skeleton,
    trained,
    written,
)
from bench.network.running_text import BLOCK
from bench.planning.plan import Plan
from bench.rows.portions import subset
from bench.rows.task import Row
from bench.scoring.evaluation import length_batches
from bench.training.method import Keeps, Method, Reads
from bench.training.stack import build

log = logging.getLogger(__name__)
_ROWS, _READ, _TEXT = 128, 16, 32  # examples side by side: scored, for a Fisher, of running text
_SOME = 64  # rows of which the middling one is looked for
_WIDE = 4  # bytes of what is float32 whatever the weights are held in
_GAPS = 0.55  # of what passes take: freed blocks that the C library keeps, measured
_ON_GPU_MIB = 2048.0  # of a process whose model is on a GPU


def tried(cell: AnyCell, plan: Plan, on_gpu: bool) -> Footprint | None:
    """Its `footprint`; None where the network, or the tokenizer, does not lend itself to it."""
    try:
        return footprint(cell, plan, on_gpu)
    except Exception as error:
        log.info("no memory by arithmetic for %s: %s", cell, error)
        return None


def footprint(cell: AnyCell, plan: Plan, on_gpu: bool) -> Footprint:
    """The most that a cell takes at one time, on a GPU or in this machine's memory.

    Raises:
        Exception: whatever an architecture, or its tokenizer, does without values.
    """
    stages = cell.stages if isinstance(cell, TaskSequence) else (cell,)
    stages = tuple(replace(stage, model=stages[0].model) for stage in stages)
    parts = (part for stage in stages for part in parts_of(stage, plan, on_gpu))
    return max(parts, key=lambda one: one.device)


def parts_of(cell: Cell, plan: Plan, on_gpu: bool) -> list[Footprint]:
    """What a cell takes while it trains, while it scores and, if its method does, prepares."""
    method = build(cell.method)
    own = type(method).trains is not Method.trains
    frozen = json.dumps([cell.method.name, cell.method.settings]) if own else ""
    outputs = plan.material.tasks[cell.task.name].outputs
    outline = _outline(cell.model, outputs, cell.training.weights, frozen)
    return _Cell(cell, method, outline, plan, on_gpu).parts()


@dataclass(frozen=True, eq=False)
class _Outline:
    """A network without values, and bytes of what goes with it."""

    net: Any
    count: int  # weights
    weights: int
    gradients: int
    moments: int  # and float32 copies of narrow weights


@lru_cache(maxsize=64)
def _outline(model: ModelInfo, outputs: int, weights: str, frozen: str) -> _Outline:
    """Of a model's network, of which the method `frozen` (its name and settings) trains a part."""
    net = skeleton(model, outputs, dtype=getattr(torch, weights))
    whole = list(net.parameters())
    if frozen:
        name, settings = json.loads(frozen)
        build(MethodSpec(name, settings, name)).trains(net)
    emptied(net)
    learned = [p for p in net.parameters() if p.requires_grad]
    return _Outline(
        net,
        count=sum(p.numel() for p in whole),
        weights=sum(p.nbytes for p in net.parameters()),
        gradients=sum(p.nbytes for p in learned),
        moments=sum(p.numel() * _WIDE * (2 if p.dtype == torch.float32 else 3) for p in learned),
    )


@lru_cache(maxsize=256)
def _trained(
    outline: _Outline, shapes: tuple[Shape, ...], precision: str, checkpointing: bool
) -> int:
    return trained(outline.net, shapes, precision, checkpointing)


@lru_cache(maxsize=256)
def _operations(outline: _Outline, shape: Shape) -> int:
    return operations(outline.net, shape)


@lru_cache(maxsize=256)
def _read(outline: _Outline, shape: Shape) -> int:
    return read(outline.net, shape)


@lru_cache(maxsize=256)
def _scored(outline: _Outline, shape: Shape) -> int:
    return scored(outline.net, shape)


@lru_cache(maxsize=256)
def _written(outline: _Outline, rows: int, tokens: int) -> int:
    return written(outline.net, rows, tokens)


@dataclass(frozen=True)
class _Cell:
    """A cell with all that its footprint is made of."""

    cell: Cell
    method: Method
    outline: _Outline
    plan: Plan
    on_gpu: bool

    def parts(self) -> list[Footprint]:
        """See `parts_of`."""
        whole, kept, prepared = self.outline, self.method.keeps, self.method.prepares
        step = self._step()
        parts = [
            self._part("train", kept, whole.gradients, whole.moments, step - whole.gradients),
            self._part("score", kept, 0, 0, self._score()),
        ]
        if prepared != Keeps():
            parts.append(self._part("prepare", prepared, 0, 0, self._prepare()))
        computed = self._computed()
        return [replace(part, operations=computed) for part in parts]

    def _part(
        self, name: str, held: Keeps, gradients: float, moments: float, passes: float
    ) -> Footprint:
        """What is there at one time. Without a GPU θ0, from which every cell's drift is measured,
        lies where the weights do; on disk it takes nothing, and of a method that leaves it alone
        it is the weights, as long as they are not scored."""
        weights = self.outline.weights
        base = 0 if self.plan.on_disk else weights
        itself = self.method.leaves_theta0 and name == "train"
        process = (_ON_GPU_MIB if self.on_gpu else IMPORTED_MIB) * 2**20
        process += 0 if self.on_gpu else _GAPS * passes
        return Footprint(
            at=name,
            weights=weights,
            gradients=gradients,
            moments=moments,
            theta0=base * (held.theta0 if self.on_gpu else 0 if itself else 1),
            importance=self.outline.count * held.importance * self._importance_bytes(name),
            star=weights * held.star,
            teacher=weights * held.teacher,
            passes=passes,
            process=0.0 if self.on_gpu else process,
            host=process + base + weights if self.on_gpu else 0.0,  # and weights to be written
            operations=0.0,
        )

    def _importance_bytes(self, part: str) -> int:
        """Of F and Ω for each weight; they are float32 while they are estimated."""
        narrow = part != "prepare" and self.cell.training.importance == "bfloat16"
        return 2 if narrow else _WIDE

    def _step(self) -> float:
        """Bytes that an optimizer step allocates at most, gradients included."""
        recipe, method = self.cell.training, self.method
        shape, extra = self._shape(self.cell.task.name, self._micro_batch), 0.0
        if method.keeps.teacher:  # it is learned from at every token, not at the answer's alone
            shape = shape._replace(answer=shape.tokens)
            extra = 3.0 * _WIDE * shape.rows * shape.tokens * vocabulary(self.outline.net.config)
        # the second of several micro-batches finds the first one's gradients
        shapes = [shape] * (1 if self._micro_batch == recipe.batch_size else 2)
        if reads := method.reads(recipe):
            shapes.append(self._read_beside(reads))
        found = _trained(self.outline, tuple(shapes), recipe.precision, recipe.checkpointing)
        return found + extra

    @property
    def _micro_batch(self) -> int:
        recipe = self.cell.training
        return min(recipe.micro_batch or recipe.batch_size, recipe.batch_size)

    def _computed(self) -> float:
        """Floating-point operations of the training, and of that which θ* is the end of: of rows of
        middling length, and of what the method reads beside them."""
        rows = self._rows(self.cell.task.name, "train", None)
        some = self._encoded(self.cell.task.name, rows[:: math.ceil(len(rows) / _SOME)])
        middling = sorted(range(len(some)), key=some.length)[len(some) // 2]
        shape = self._shape_of(some, [middling])._replace(rows=self._micro_batch)
        parts = math.ceil(self.cell.training.batch_size / self._micro_batch)
        step = parts * _operations(self.outline, shape)
        found = step * (2 if self.method.prepares.star else 1)
        if reads := self.method.reads(self.cell.training):
            found += _operations(self.outline, self._read_beside(reads))
        return float(found * self.cell.steps)

    def _read_beside(self, reads: Reads) -> Shape:
        """Of the batch that the method reads: of text, or the longest rows of those that it draws
        of the forgetting tasks."""
        if reads.tokens:
            return Shape(reads.rows, reads.tokens, reads.tokens)
        tasks = self.cell.forget.tasks
        share = math.ceil(reads.among / len(tasks))
        shapes = [self._shape(name, reads.rows, share) for name in tasks]
        return Shape(
            reads.rows, max(one.tokens for one in shapes), max(one.answer for one in shapes)
        )

    def _score(self) -> float:
        """Bytes that scoring takes: of some task's rows, or of running text, which may have to be
        written before."""
        cell, recipe = self.cell, self.cell.training
        limits = {cell.task.name: recipe.max_eval}
        blocks = max(1, recipe.retention_tokens // BLOCK)
        found = 0.0
        if cell.model.generates:
            share = max(1, recipe.forget_rows // max(1, len(cell.forget.tasks)))
            limits |= dict.fromkeys(cell.forget.tasks, share)
            limits |= {task.name: recipe.max_eval for task in cell.besides.retain_tasks}
            found = _scored(self.outline, Shape(min(blocks, _TEXT), BLOCK, BLOCK))
            if self.plan.material.retention is None:
                found = max(found, _written(self.outline, min(blocks, STARTS), BLOCK))
        return max(found, *(self._scored_rows(name, most) for name, most in limits.items()))

    def _scored_rows(self, task: str, limit: int | None) -> float:
        """Bytes that the longest of a task's dev rows take, and what is written to them."""
        rows, config = self._longest(task, "dev", _ROWS, limit), self.outline.net.config
        first = length_batches(rows, vocabulary(config), cached_bytes(config))[0]
        if not rows.answers:
            shape = Shape(len(first), max(map(len, rows.prompts)), choices=rows.choices)
            return _scored(self.outline, shape)
        answer = max(len(one) for i in first for one in rows.answers[i])
        shape = Shape(len(first), longest(rows), answer, len(rows.answers[0]))
        new = self.plan.material.tasks[task].max_new_tokens
        tokens = min(max(map(len, rows.prompts)) + new, context_length(self.outline.net))
        wrote = _written(self.outline, min(len(rows), SIDE_BY_SIDE), tokens) if new else 0
        return max(_scored(self.outline, shape), wrote)

    def _prepare(self) -> float:
        """Bytes of the passes whose gradients are looked at one by one: over running text, where
        the method asks for some, which may have to be written, else over the task's rows and those
        that it reads beside."""
        needs = self.method.needs
        if needs & {"generation", "text"} and "finetuned" not in needs:
            wrote = _written(self.outline, STARTS, BLOCK) if "generation" in needs else 0
            return max(wrote, _read(self.outline, Shape(_READ, BLOCK, BLOCK)))
        shapes = [self._shape(self.cell.task.name, _READ)]
        if reads := self.method.reads(self.cell.training):
            shapes.append(self._read_beside(replace(reads, rows=_READ)))
        return max(_read(self.outline, shape) for shape in shapes)

    def _shape(self, task: str, count: int, among: int | None = None) -> Shape:
        """Of a batch of so many of a task's longest training rows, or of those `among` some."""
        rows = self._longest(task, "train", count, among)
        return self._shape_of(rows, sorted(range(len(rows)), key=rows.length)[-count:])

    def _shape_of(self, rows: Encoded, chosen: list[int]) -> Shape:
        batch = collate(rows, chosen, 0)
        answer = 0 if batch.positions is None else batch.positions.shape[1]
        return Shape(len(chosen), batch.inputs["input_ids"].shape[-1], answer, rows.choices)

    def _longest(self, name: str, split: str, count: int, among: int | None = None) -> Encoded:
        """So many of a task's longest rows, by characters, and as many again, as tokens."""
        rows = self._rows(name, split, among)
        return self._encoded(name, heapq.nlargest(2 * count, rows, key=_characters))

    def _rows(self, name: str, split: str, among: int | None) -> list[Row]:
        """The rows of a split that are used, or `among` so many."""
        recipe = self.cell.training
        limit = among or (recipe.max_train if split == "train" else recipe.max_eval)
        return subset(self.plan.material.rows[name, self.cell.data.source, split], limit, name)

    def _encoded(self, name: str, rows: list[Row]) -> Encoded:
        model = self.cell.model
        length = min(self.cell.training.max_length, context_length(self.outline.net))
        return encode(
            rows, self.plan.material.tasks[name], load_tokenizer(model), model.kind, length
        )


def _characters(row: Row) -> int:
    return sum(len(str(value)) for value in row.values())
