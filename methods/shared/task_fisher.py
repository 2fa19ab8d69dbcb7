"""The Fisher diagonal of a task, and what it says is important."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bench.gradients.fisher import fisher_diagonal

if TYPE_CHECKING:
    from bench.training.context import TrainingContext

_BATCH = 16


def task_fisher(run: TrainingContext, rows: int) -> dict[str, Tensor]:
    """The empirical Fisher diagonal (with the gold answers) of the learning task at the weights
    that the model has, over `rows` of its training rows, or all if there are fewer."""
    count = len(run.train_rows)
    chosen = random.Random(run.seed("fisher rows")).sample(range(count), min(rows, count))
    batches = run.batches(chosen, _BATCH)
    run.progress("Fisher of the learning task", 0, 1, None)
    return fisher_diagonal(run.net, batches, run.example_losses, names=run.loaded.base)


def largest(values: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """Which entries are among the share with the largest values of all tensors together, as
    Boolean tensors of the same shapes; at least one is."""
    flat = torch.cat([x.flatten() for x in values.values()])
    chosen = torch.zeros_like(flat, dtype=torch.bool)
    chosen[flat.topk(max(1, round(share * len(flat)))).indices] = True
    parts = torch.split(chosen, [x.numel() for x in values.values()])
    return {name: part.view_as(values[name]) for name, part in zip(values, parts, strict=True)}
