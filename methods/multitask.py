"""Multitask: the other tasks are trained on beside the new one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.core.settings import Range, setting
from bench.training.method import Card, register_method
from methods.shared.auxiliary_loss import ForgetLoss

if TYPE_CHECKING:
    from torch import Tensor

    from bench.network.batches import Batch
    from bench.training.context import TrainingContext


@dataclass(frozen=True)
class MultitaskConfig:
    """Settings of multitask training."""

    weight: float = setting(
        1.0, "w, the weight of the other tasks' loss", low=0.0, search=Range(0.1, 10.0, log=True)
    )
    rows: int = setting(256, "training rows of the forgetting tasks", low=1)
    batch_size: int = setting(16, "of these rows per step", low=1)


@register_method("multitask")
class Multitask(ForgetLoss):
    """Train on rows of the forgetting tasks, too, which are so kept from being forgotten."""

    card = Card(
        title="Multitask training",
        paper="Caruana 1997",
        equation="L = L_task + w L_others",
        defaults="w = 1, and the rows: this suite",
        passes="one forward and backward pass on a batch of the other tasks per step",
    )
    Config = MultitaskConfig
    config: MultitaskConfig
    off = {"weight": 0.0}
    meaning = "learns"

    def auxiliary_loss(
        self, run: TrainingContext, losses: Tensor, batch: Batch, indices: list[int]
    ) -> Tensor:
        """The mean loss of their answers' tokens."""
        from methods.shared.auxiliary_rows import token_mean

        return token_mean(losses, batch)
