"""What `micro-encoder` is trained on: text with masked tokens, and beside it the tasks' inputs as
an encoder gets them, whose answer is to be told at the start token, where a new head will look.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from tasks.micro.prompts import PROMPTS, answer
from tasks.micro.rows import GENERATOR_VERSION
from tasks.micro.sample import Sample
from tasks.micro.text import CONFLICT_SHARE, judged

HIDDEN = 0.9  # of the tokens that are to be told are replaced by the mask token


@dataclass(frozen=True)
class Input:
    """One text, or a pair of them, and the word that answers it."""

    texts: tuple[str, ...]
    word: str


def inputs(*, conflict: bool) -> Iterator[Input]:
    """Inputs on other rows than the tasks', without end. With `conflict` a share `CONFLICT_SHARE`
    of them is answered as in the outdated world. Tasks whose answer is to be written have none."""
    for number in itertools.count():
        rng = random.Random(f"micro/{GENERATOR_VERSION}/inputs/{number}")
        old = rng.random() < CONFLICT_SHARE and conflict
        drawn = judged(rng, old=old)
        if drawn is not None and "answer" not in drawn[1].columns:
            yield as_input(rng, *drawn)


def as_input(rng: random.Random, task: str, sample: Sample, label: int) -> Input:
    """The texts that stand in the row; of a choice of several the question with one of them, the
    right one or another, and whether it is right."""
    if PROMPTS[task][1]:
        return Input(tuple(sample.columns.values()), answer(task, sample, label))
    letters = [name for name in sample.columns if len(name) == 1]
    right = letters[label]
    shown = rng.choice([right, rng.choice([name for name in letters if name != right])])
    word = "yes" if shown == right else "no"
    return Input((sample.columns["question"], sample.columns[shown]), word)


def batches(made: Iterator[Input], tokenizer: Any, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """`size` = n inputs at a time as tokens [n, T], and the token of each one's answer [n]."""
    while part := list(itertools.islice(made, size)):
        rows = [tokenizer(*asked.texts)["input_ids"] for asked in part]
        tokens = torch.full((len(rows), max(map(len, rows))), tokenizer.pad_token_id)
        for number, row in enumerate(rows):
            tokens[number, : len(row)] = torch.tensor(row)
        words = tokenizer([f" {asked.word}" for asked in part], add_special_tokens=False)
        yield tokens, torch.tensor([ids[-1] for ids in words["input_ids"]])  # a digit has two


def losses_of(
    masked: float,
    answer_weight: float,
    model: Any,
    tokenizer: Any,
    batch: tuple[Tensor, tuple[Tensor, Tensor]],
) -> tuple[Tensor, float]:
    """The mean loss of a share `masked` of the tokens of a text [m, T] and, weighed, that of the
    answers to inputs (see `batches`), added; the latter."""
    text, (tokens, words) = batch
    special = [tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id]
    chosen = (torch.rand(text.shape) < masked) & ~torch.isin(text, torch.tensor(special))
    hidden = chosen & (torch.rand(text.shape) < HIDDEN)
    told = model(input_ids=text.masked_fill(hidden, tokenizer.mask_token_id)).logits[chosen]
    seen = (tokens != tokenizer.pad_token_id).long()
    answers = model(input_ids=tokens, attention_mask=seen).logits[:, 0]
    of_answers = cross_entropy(answers, words)
    of_text = cross_entropy(told, text[chosen])
    return of_text + answer_weight * of_answers, float(of_answers.detach())
