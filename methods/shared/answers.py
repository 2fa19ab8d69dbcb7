"""Answers as tokens behind their prompts, and whose turn it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bench.network.batches import Batch, answer_batch, epoch_order

if TYPE_CHECKING:
    from bench.training.context import TrainingContext


@dataclass
class AnswerSet:
    """Answers of the model itself, as tokens, each behind its prompt."""

    prompts: list[list[int]]
    answers: list[list[int]]

    @classmethod
    def empty(cls) -> AnswerSet:
        """No answers."""
        return cls([], [])

    def __len__(self) -> int:
        return len(self.answers)

    def subset(self, indices: Sequence[int]) -> AnswerSet:
        """These answers alone."""
        return AnswerSet([self.prompts[i] for i in indices], [self.answers[i] for i in indices])

    def batch(self, indices: Sequence[int], pad: int) -> Batch:
        """These answers as targets behind their prompts."""
        return answer_batch([(self.prompts[i], self.answers[i]) for i in indices], pad)

    def to_tensors(self) -> dict[str, Tensor]:
        """All tokens in a row, and the lengths to cut them by."""
        flat = [t for pair in zip(self.prompts, self.answers, strict=True) for p in pair for t in p]
        lengths = [(len(p), len(a)) for p, a in zip(self.prompts, self.answers, strict=True)]
        return {
            "tokens": torch.tensor(flat, dtype=torch.long),
            "lengths": torch.tensor(lengths, dtype=torch.long).view(-1, 2),
        }

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> AnswerSet:
        """The inverse of `to_tensors`."""
        tokens = iter(tensors["tokens"].tolist())
        pairs = [
            ([next(tokens) for _ in range(p)], [next(tokens) for _ in range(a)])
            for p, a in tensors["lengths"].tolist()
        ]
        return cls([p for p, _ in pairs], [a for _, a in pairs])


def turn_of(run: TrainingContext, answers: AnswerSet, size: int, turn: int) -> list[int]:
    """The `turn`-th batch, from 0: all answers once, and then in another order once more; a batch
    is of like length, as the task's own are."""
    lengths = [len(p) + len(a) for p, a in zip(answers.prompts, answers.answers, strict=True)]
    rounds, place = divmod(turn, math.ceil(len(answers) / size))
    task, seed = run.cell.task.name, run.cell.seed
    return epoch_order(lengths, size, run.cell.training.batching, task, seed, "unlearn", rounds)[
        place
    ]
