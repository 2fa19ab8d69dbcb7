"""Rows -> tokens -> batches. The order depends on (task, seed) alone, never on the method."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from bench.errors import BenchError
from bench.spec import ModelKind, Training, derive_seed
from tasks.base import Row, Task

IGNORE = -100
_POOL = 32  # batches whose examples are sorted by length together


@dataclass
class Encoded:
    """Tokenised rows. On a causal LM `answers[i][k]` are the tokens of label k's word after
    `prompts[i]`; on an encoder `prompts[i]` is the whole input, `types[i]` its token types."""

    ids: list[str]
    gold: list[int]
    prompts: list[list[int]]
    answers: list[list[list[int]]]
    types: list[list[int]]
    truncated: int

    def __len__(self) -> int:
        return len(self.gold)

    def length(self, i: int) -> int:
        """Tokens of example i with its gold answer."""
        return len(self.prompts[i]) + (len(self.answers[i][self.gold[i]]) if self.answers else 0)


@dataclass
class Batch:
    """Examples side by side, padded on the right.

    inputs: `input_ids` [n, T], on an encoder `attention_mask` and `token_type_ids` too.
    positions [n, A]: where the logits that predict the answer tokens stand (None on an encoder).
    targets: answer tokens [n, A], IGNORE where there is none; on an encoder labels [n].
    scale: what the summed loss is multiplied with, so that the micro-batches of one step,
    over all processes, add up to the mean over the step's answer tokens (encoder: examples).
    """

    inputs: dict[str, Tensor]
    positions: Tensor | None
    targets: Tensor
    scale: float = 1.0

    def __len__(self) -> int:
        return self.targets.shape[0]

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


def subset(rows: Sequence[Row], limit: int | None, task: str) -> list[Row]:
    """`limit` rows, the same for every method and seed; all of them in order if None."""
    if limit is None or limit >= len(rows):
        return list(rows)
    chosen = random.Random(f"{task}:subset").sample(range(len(rows)), limit)
    return [rows[i] for i in sorted(chosen)]


def encode(rows: Sequence[Row], task: Task, tokenizer: Any, kind: ModelKind, limit: int) -> Encoded:
    """Tokenise rows for a causal LM (prompt and label words) or an encoder (text or pair)."""
    if not rows:
        raise BenchError(f"task {task.name}: no rows.")
    encoder = _encode_causal if kind == "causal" else _encode_encoder
    return encoder(rows, task, tokenizer, limit)


def _encode_encoder(rows: Sequence[Row], task: Task, tokenizer: Any, limit: int) -> Encoded:
    texts = [[str(row[column]) for row in rows] for column in task.columns]
    full = tokenizer(*texts)["input_ids"]
    cut = tokenizer(*texts, truncation="longest_first", max_length=limit)
    return Encoded(
        ids=[row["id"] for row in rows],
        gold=[row["label"] for row in rows],
        prompts=cut["input_ids"],
        answers=[],
        types=cut.get("token_type_ids", []),
        truncated=sum(len(ids) > limit for ids in full),
    )


def _encode_causal(rows: Sequence[Row], task: Task, tokenizer: Any, limit: int) -> Encoded:
    rows = [{**row, **{c: str(row[c]) for c in task.columns}} for row in rows]
    truncated = 0
    encoded = [_split(row, task, tokenizer) for row in _chunks(rows)]
    prompts = [prompt for part in encoded for prompt in part[0]]
    answers = [answer for part in encoded for answer in part[1]]
    for i, row in enumerate(rows):
        room = limit - max(len(answer) for answer in answers[i])
        if len(prompts[i]) > room:
            truncated += 1
            prompts[i], answers[i] = _shortened(row, task, tokenizer, room)
    return Encoded(
        ids=[row["id"] for row in rows],
        gold=[row["label"] for row in rows],
        prompts=prompts,
        answers=answers,
        types=[],
        truncated=truncated,
    )


def _chunks(rows: Sequence[Row], size: int = 1024) -> Iterator[Sequence[Row]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _split(
    rows: Sequence[Row], task: Task, tokenizer: Any
) -> tuple[list[list[int]], list[list[list[int]]]]:
    """Prompt tokens and, per label, answer tokens of each row.

    Tokenisers may merge across the border of prompt and answer, so the whole text is tokenised
    and cut where it first differs from the prompt alone, at one place for all labels of a row.
    """
    texts = [task.prompt.format(**row) for row in rows]
    alone = tokenizer(texts, verbose=False)["input_ids"]
    wholes = [
        tokenizer([f"{text} {word}" for text in texts], verbose=False)["input_ids"]
        for word in task.words
    ]
    end = _closing_tokens(tokenizer)
    prompts, answers = [], []
    for i, prompt in enumerate(alone):
        full = [whole[i][: len(whole[i]) - end] for whole in wholes]
        cut = min(_common_prefix(prompt, tokens) for tokens in full)
        prompts.append(prompt[:cut])
        answers.append([tokens[cut:] for tokens in full])
    if len({tuple(answer) for answer in answers[0]}) < len(task.words) or not all(answers[0]):
        raise BenchError(
            f"task {task.name}: the tokenizer cannot tell the words {', '.join(task.words)} apart."
        )
    return prompts, answers


def _closing_tokens(tokenizer: Any) -> int:
    """How many special tokens the tokenizer puts behind a text."""
    plain = tokenizer("a", add_special_tokens=False)["input_ids"]
    marked = tokenizer("a")["input_ids"]
    start = next((i for i in range(len(marked)) if marked[i : i + len(plain)] == plain), 0)
    return len(marked) - start - len(plain)


def _common_prefix(first: list[int], second: list[int]) -> int:
    length = min(len(first), len(second))
    return next((i for i in range(length) if first[i] != second[i]), length)


def _shortened(
    row: Row, task: Task, tokenizer: Any, room: int
) -> tuple[list[int], list[list[int]]]:
    """The row's prompt in at most `room` tokens: the longest column loses its last words.

    Raises:
        BenchError: the prompt is too long even with every column empty.
    """
    row = dict(row)
    while True:
        ((prompt,), (answers,)) = _split([row], task, tokenizer)
        over = len(prompt) - room
        if over <= 0:
            return prompt, answers
        column = max(task.columns, key=lambda name: len(row[name]))
        words = row[column].split(" ")
        if not row[column]:
            raise BenchError(f"task {task.name}: the prompt alone is longer than {room} tokens.")
        # a word has at least one token, so dropping over/8 words at a time cannot overshoot by far
        row[column] = " ".join(words[: -max(1, over // 8)])


def collate(encoded: Encoded, indices: Sequence[int], pad: int) -> Batch:
    """A padded batch of the given examples with their gold answers."""
    if encoded.answers:
        pairs = [(encoded.prompts[i], encoded.answers[i][encoded.gold[i]]) for i in indices]
        return answer_batch(pairs, pad)
    rows = [encoded.prompts[i] for i in indices]
    inputs = {
        "input_ids": _pad(rows, pad),
        "attention_mask": _pad([[1] * len(row) for row in rows], 0),
    }
    if encoded.types:
        inputs["token_type_ids"] = _pad([encoded.types[i] for i in indices], 0)
    return Batch(inputs, None, torch.tensor([encoded.gold[i] for i in indices]))


def answer_batch(pairs: Sequence[tuple[list[int], list[int]]], pad: int) -> Batch:
    """A causal batch of (prompt tokens, answer tokens); only the answers are predicted.

    There is no attention mask: behind a right-padded text stands nothing that a causal model
    reads, and without a mask attention takes its fast path.
    """
    rows = [prompt + answer[:-1] for prompt, answer in pairs]
    targets = [answer for _, answer in pairs]
    width = max(len(answer) for answer in targets)
    starts = torch.tensor([[len(prompt) - 1] for prompt, _ in pairs])
    input_ids = _pad(rows, pad)
    positions = (starts + torch.arange(width)).clamp_(max=input_ids.shape[1] - 1)
    return Batch({"input_ids": input_ids}, positions, _pad(targets, IGNORE))


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
