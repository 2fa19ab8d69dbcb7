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
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import torch

from bench.cells.cell import AnyCell, Cell, MethodSpec, ModelInfo, TaskSequence
from bench.core.memory import IMPORTED_MIB, Footprint, Place
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
from bench.running.groups import Groups, groups_of
from bench.scoring.evaluation import length_batches
from bench.training.method import Keeps, Method, Reads
from bench.training.stack import build

log = logging.getLogger(__name__)
_ROWS, _READ, _TEXT = 128, 16, 32  # examples side by side: scored, for a Fisher, of running text
_SOME = 64  # rows of which the middling one is looked for
_WIDE = 4  # bytes of what is float32 whatever the weights are held in
_GAPS = 0.55  # of what passes take: freed blocks that the C library keeps, measured
_GAPS_OF_ADAPTERS = 1.25  # whose small outputs, which are kept, lie where large ones were freed
_ON_GPU_MIB = 2048.0  # of a process whose model is on a GPU


def tried(cell: AnyCell, plan: Plan, place: Place) -> Footprint | None:
    """Its `footprint`; None where the network, or the tokenizer, does not lend itself to it."""
    try:
        return footprint(cell, plan, place)
    except Exception as error:
        log.info("no memory by arithmetic for %s: %s", cell, error)
        return None


def footprint(cell: AnyCell, plan: Plan, place: Place) -> Footprint:
    """The most that a process takes for a cell at one time, on a GPU or in this machine's memory.

    Raises:
        Exception: whatever an architecture, or its tokenizer, does without values.
    """
    stages = cell.stages if isinstance(cell, TaskSequence) else (cell,)
    stages = tuple(replace(stage, model=stages[0].model) for stage in stages)
    parts = (part for stage in stages for part in parts_of(stage, plan, place))
    return max(parts, key=lambda one: one.device)


def parts_of(cell: Cell, plan: Plan, place: Place) -> list[Footprint]:
    """What a cell takes while it trains, while it scores and, if its method does, prepares; where
    weights are cut, also while they are, and while they are put together for a checkpoint."""
    method = build(cell.method)
    own = type(method).trains is not Method.trains
    frozen = json.dumps([cell.method.name, cell.method.settings]) if own else ""
    outputs = plan.material.tasks[cell.task.name].outputs
    outline = _outline(cell.model, outputs, cell.training.weights, frozen)
    return _Cell(cell, method, outline, plan, place).parts()


@dataclass(frozen=True, eq=False)
class _Outline:
    """A network without values, and bytes of what goes with it."""

    net: Any
    count: int  # pretrained weights, and a new head's
    base: int  # their bytes
    weights: int  # those of adapters among them
    gradients: int
    moments: int  # and float32 copies of narrow weights

    @cached_property
    def groups(self) -> Groups:
        """What is put together at a time where weights are cut over processes."""
        return groups_of(self.net)


class _Share(NamedTuple):
    """How much there is in a process of what is there once on one device."""

    weights: float = 1.0
    gradients: float = 0.0
    moments: float = 0.0
    importance: float = 1.0
    theta0: float = 1.0  # beside the host's


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
        base=sum(p.nbytes for p in whole),
        weights=sum(p.nbytes for p in net.parameters()),
        gradients=sum(p.nbytes for p in learned),
        moments=sum(p.numel() * _WIDE * (2 if p.dtype == torch.float32 else 3) for p in learned),
    )


@lru_cache(maxsize=256)
def _trained(
    outline: _Outline, shapes: tuple[Shape, ...], precision: str, checkpointing: bool, over: int
) -> int:
    if over == 1:
        return trained(outline.net, shapes, precision, checkpointing)
    groups = outline.groups  # whose gradients go to other processes block by block, batch by batch
    how = precision, checkpointing, groups.inside, over
    most = max(trained(outline.net, [shape], *how) for shape in dict.fromkeys(shapes))
    return most + groups.root + groups.together


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
    place: Place

    def parts(self) -> list[Footprint]:
        """See `parts_of`."""
        prepared = self.method.prepares
        parts = self._parts_cut() if self.place.over > 1 else self._parts_whole()
        if prepared != Keeps():
            parts.append(self._part("prepare", prepared, _Share(), self._prepare()))
        computed = self._computed()
        return [replace(part, operations=computed) for part in parts]

    def _parts_whole(self) -> list[Footprint]:
        """While it trains and while it scores, on one device."""
        kept = self.method.keeps
        return [
            self._part("train", kept, _Share(1, 1, 1), self._passes()),
            self._part("score", kept, _Share(moments=self._looked_at), self._score()),
        ]

    def _parts_cut(self) -> list[Footprint]:
        """The same where weights are cut over processes while it trains, and what is between: a
        process has its shards beside the whole weights then."""
        kept, share = self.method.keeps, 1 / self.place.over
        both, seen, groups = 1 + share, self._looked_at * share, self.outline.groups
        on_gpu, after = self.place.on_gpu, both + self.method.leaves_theta0  # and merged weights
        asked = 1.0 if on_gpu else share  # of θ0; a CPU has it whole in any case
        score = max(self._score(), groups.root, groups.block)  # which are gathered before
        parts = [
            self._part("cut", kept, _Share(both, theta0=asked), 0),
            self._part("train", kept, _Share(share, share, share, share, share), self._passes()),
            self._part("score", kept, _Share(after, 0, seen, share, seen), score),
        ]
        if not on_gpu:
            parts.append(self._part("save", kept, _Share(both, 0, both, both, share), 0))
        if self.method.prepares.star:  # plain fine-tuning has a network, and a θ0, of its own
            second = _Share(1 + both, theta0=0.0 if on_gpu else 1.0)
            parts.append(self._part("prepare", Keeps(theta0=1, star=1), second, 0))
        return parts

    @property
    def _looked_at(self) -> bool:
        """Whether weights are scored in the midst of the training."""
        recipe = self.cell.training
        return recipe.select != "last" or recipe.eval_every is not None

    def _part(self, name: str, held: Keeps, share: _Share, passes: float) -> Footprint:
        """What is there at one time. Without a GPU θ0, from which every cell's drift is measured,
        lies where the weights do; on disk it takes nothing, and of a method that leaves it alone
        it is the weights, until they are cut or others are scored in their place."""
        whole, on_gpu, cut = self.outline, self.place.on_gpu, self.place.over > 1
        weights, importance = whole.weights, whole.count * self._importance_bytes(name)
        base = 0 if self.plan.on_disk else whole.base
        itself = self.method.leaves_theta0 and name == ("cut" if cut else "train")
        theta0 = base * held.theta0 * share.theta0
        if not on_gpu:
            theta0 = (0 if itself else base) + (theta0 if cut else 0)
        process = (_ON_GPU_MIB if on_gpu else IMPORTED_MIB) * 2**20
        adapters = "adapter" in self.method.roles and name == "train"
        process += 0 if on_gpu else (_GAPS_OF_ADAPTERS if adapters else _GAPS) * passes
        written = weights + (whole.moments + self._kept_importance if cut else 0)
        return Footprint(
            at=name,
            weights=weights * share.weights,
            gradients=whole.gradients * share.gradients,
            moments=whole.moments * share.moments,
            theta0=theta0,
            importance=importance * held.importance * share.importance,
            star=weights * held.star,
            teacher=weights * held.teacher,
            passes=passes,
            process=0.0 if on_gpu else process,
            host=process + base + written if on_gpu else 0.0,
            operations=0.0,
            over=self.place.over,
        )

    @property
    def _kept_importance(self) -> float:
        """Bytes of F and Ω that a checkpoint has."""
        return self.outline.count * self.method.keeps.importance * self._importance_bytes("save")

    def _importance_bytes(self, part: str) -> int:
        """Of F and Ω for each weight; they are float32 while they are estimated."""
        narrow = part != "prepare" and self.cell.training.importance == "bfloat16"
        return 2 if narrow else _WIDE

    def _passes(self) -> float:
        """Bytes that an optimizer step allocates at most beside its gradients."""
        recipe, method = self.cell.training, self.method
        each = math.ceil(self._at_once / self.place.over)
        shape, extra = self._shape(self.cell.task.name, each), 0.0
        if method.keeps.teacher:  # it is learned from at every token, not at the answer's alone
            shape = shape._replace(answer=shape.tokens)
            extra = 3.0 * _WIDE * shape.rows * shape.tokens * vocabulary(self.outline.net.config)
        # the second of several micro-batches finds the first one's gradients
        shapes = [shape] * (1 if self._at_once == recipe.batch_size else 2)
        if reads := method.reads(recipe):
            shapes.append(self._read_beside(reads))
        how = recipe.precision, recipe.checkpointing, self.place.over
        found = _trained(self.outline, tuple(shapes), *how)
        return found + extra - self.outline.gradients / self.place.over

    @property
    def _at_once(self) -> int:
        """Rows of a micro-batch, which processes share."""
        recipe = self.cell.training
        return min(recipe.micro_batch or recipe.batch_size, recipe.batch_size)

    def _computed(self) -> float:
        """Floating-point operations of the training, and of that which θ* is the end of: of rows of
        middling length, and of what the method reads beside them."""
        rows = self._rows(self.cell.task.name, "train", None)
        some = self._encoded(self.cell.task.name, rows[:: math.ceil(len(rows) / _SOME)])
        middling = sorted(range(len(some)), key=some.length)[len(some) // 2]
        shape = self._shape_of(some, [middling])._replace(rows=self._at_once)
        parts = math.ceil(self.cell.training.batch_size / self._at_once)
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
