"""Tokens -> batches. The order depends on (task, seed) alone, never on the method."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor

from bench.cells.recipe import Training
from bench.core.hashing import derive_seed

IGNORE = -100
_FRONT = 32  # tokens before every prompt from which they are worth a pass of their own
_POOL = 32  # batches whose examples are sorted by length together


@dataclass
class Encoded:
    """Tokenised rows. On a causal LM `answers[i][k]` are the tokens of answer k after `prompts[i]`,
    and `sizes[i][k]` the bytes of its text; on an encoder `prompts[i]` is the whole input,
    `types[i]` its token types. In multiple choice an encoder has an input for each of `choices`;
    those of example i stand at `places(i)`. `references[i]` is what a right prediction equals: the
    label, the score, the text."""

    ids: list[str]
    gold: list[int]
    prompts: list[list[int]]
    answers: list[list[list[int]]]
    types: list[list[int]]
    truncated: int
    sizes: list[list[int]] = field(default_factory=list)
    references: list[Any] = field(default_factory=list)  # `gold`, if it is not given
    choices: int = 1
    alike: int = 0  # rows that were shortened to what one with other texts was shortened to

    def __post_init__(self) -> None:
        self.references = self.references or list(self.gold)

    def __len__(self) -> int:
        return len(self.gold)

    @cached_property
    def front(self) -> list[int]:
        """Tokens that every prompt begins with, as solved examples are: none, or many."""
        if len(self) < 2:
            return []
        first, last = min(self.prompts), max(self.prompts)  # in their order, so the least alike
        shared = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
        length = min(sum(1 for _ in shared), min(map(len, self.prompts)) - 1)
        return first[:length] if length >= _FRONT else []

    def places(self, i: int) -> range:
        """Where the prompts of example i stand, one or one for each choice."""
        return range(i * self.choices, (i + 1) * self.choices)

    def prompt_length(self, i: int) -> int:
        """Tokens of example i before its answers, several inputs padded to one length."""
        return self.choices * max(len(self.prompts[at]) for at in self.places(i))

    def length(self, i: int) -> int:
        """Tokens of example i with its gold answer."""
        return self.prompt_length(i) + (len(self.answers[i][self.gold[i]]) if self.answers else 0)


@dataclass
class Batch:
    """Examples side by side, padded on the right.

    inputs: `input_ids` and `attention_mask` [n, T], on an encoder `token_type_ids` too, and in
    multiple choice all of them [n, choices, T].
    positions [n, A]: where the logits that predict the answer tokens stand (None on an encoder).
    targets: answer tokens [n, A], IGNORE where there is none; on an encoder labels or scores [n].
    scale: what the summed loss is multiplied with, so that the micro-batches of one step,
    over all processes, add up to the mean over the step's answer tokens (encoder: examples).
    """

    inputs: dict[str, Tensor]
    positions: Tensor | None
    targets: Tensor
    scale: float = 1.0

    def __len__(self) -> int:
        return self.targets.shape[0]

    def only(self, rows: Sequence[int]) -> Batch:
        """A batch of some of the examples, as wide as before."""
        chosen = list(rows)
        return replace(
            self,
            inputs={name: x[chosen] for name, x in self.inputs.items()},
            positions=None if self.positions is None else self.positions[chosen],
            targets=self.targets[chosen],
        )

    def to(self, device: torch.device) -> Batch:
        """The same batch on `device`."""
        if self.targets.device == device:
            return self
        return replace(
            self,
            inputs={k: v.to(device, non_blocking=True) for k, v in self.inputs.items()},
            positions=None if self.positions is None else self.positions.to(device),
            targets=self.targets.to(device, non_blocking=True),
        )


def collate(encoded: Encoded, indices: Sequence[int], pad: int) -> Batch:
    """A padded batch of the given examples with their gold answers."""
    if encoded.answers:
        pairs = [(encoded.prompts[i], encoded.answers[i][encoded.gold[i]]) for i in indices]
        return answer_batch(pairs, pad)
    places = [at for i in indices for at in encoded.places(i)]
    rows = [encoded.prompts[at] for at in places]
    inputs = _padded(rows, pad)
    if encoded.types:
        inputs["token_type_ids"] = _pad([encoded.types[at] for at in places], 0)
    if encoded.choices > 1:
        inputs = {k: v.view(len(indices), encoded.choices, -1) for k, v in inputs.items()}
    return Batch(inputs, None, torch.tensor([encoded.references[i] for i in indices]))


def answer_batch(pairs: Sequence[tuple[list[int], list[int]]], pad: int) -> Batch:
    """A causal batch of (prompt tokens, answer tokens); only the answers are predicted."""
    rows = [prompt + answer[:-1] for prompt, answer in pairs]
    targets = [answer for _, answer in pairs]
    width = max(len(answer) for answer in targets)
    starts = torch.tensor([[len(prompt) - 1] for prompt, _ in pairs])
    inputs = _padded(rows, pad)
    positions = (starts + torch.arange(width)).clamp_(max=inputs["input_ids"].shape[1] - 1)
    return Batch(inputs, positions, _pad(targets, IGNORE))


def _padded(rows: Sequence[list[int]], pad: int) -> dict[str, Tensor]:
    mask = _pad([[1] * len(row) for row in rows], 0)
    return {"input_ids": _pad(rows, pad), "attention_mask": mask}


def _pad(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    width = max(len(row) for row in rows)
    return torch.tensor([[*row, *[value] * (width - len(row))] for row in rows])


def epoch_order(
    lengths: Sequence[int], batch_size: int, batching: str, *seed: object
) -> list[list[int]]:
    """The batches of one epoch as lists of indices, each index once.

    `bucketed` sorts pools of shuffled examples by length, cuts them into batches and shuffles
    these; `random` only shuffles.
    """
    rng = random.Random(derive_seed(*seed))
    order = list(range(len(lengths)))
    rng.shuffle(order)
    if batching == "bucketed":
        pool = batch_size * _POOL
        for start in range(0, len(order), pool):
            order[start : start + pool] = sorted(
                order[start : start + pool], key=lambda i: lengths[i]
            )
    batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    if batching == "bucketed":
        rng.shuffle(batches)
    return batches


def step_batches(
    encoded: Encoded, training: Training, task: str, seed: int, first: int, steps: int
) -> Iterator[list[int]]:
    """The examples of each optimizer step from `first` on, over as many epochs as it takes."""
    lengths = [encoded.length(i) for i in range(len(encoded))]
    per_epoch = -(-len(encoded) // training.batch_size)
    step = first
    while step < steps:
        epoch = step // per_epoch
        batches = epoch_order(
            lengths, training.batch_size, training.batching, task, seed, "order", epoch
        )
        for indices in batches[step - epoch * per_epoch :][: steps - step]:
            yield indices
            step += 1


def micro_batches(
    encoded: Encoded, indices: list[int], size: int | None, pad: int, rank: int, world: int
) -> list[Batch]:
    """This process's share of one step, cut into micro-batches whose scaled losses add up.

    Gradients are averaged over processes, so `scale` carries the factor `world`. A process with
    nothing to do gets one example at scale 0: all must take part in the averaging.
    """
    count = len(indices)
    if encoded.answers:
        count = sum(len(encoded.answers[i][encoded.gold[i]]) for i in indices)
    size = size or len(indices)
    batches = []
    for start in range(0, len(indices), size):
        mine = indices[start : start + size][rank::world]
        batch = collate(encoded, mine or indices[:1], pad)
        batch.scale = world / count if mine else 0.0
        batches.append(batch)
    return batches
