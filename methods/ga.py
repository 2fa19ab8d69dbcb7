"""Gradient ascent: unlearn the forgetting task's own rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.core.settings import Range, setting
from bench.network.limits import vocabulary
from bench.training.method import Card, register_method
from methods.shared.auxiliary_loss import ForgetLoss

if TYPE_CHECKING:
    from torch import Tensor

    from bench.network.batches import Batch
    from bench.training.context import TrainingContext


@dataclass(frozen=True)
class GAConfig:
    """Settings of gradient ascent."""

    weight: float = setting(
        0.05, "w, what the negated loss is scaled by", low=0.0, search=Range(0.01, 0.2, log=True)
    )
    rows: int = setting(256, "training rows of the forgetting tasks", low=1)
    batch_size: int = setting(16, "of these rows per step", low=1)
    max_unlearn_nll: float | None = setting(
        None, "nats per token from which a batch counts as unlearned; none: ln |V|", low=0.0
    )


@register_method("ga")
class GA(ForgetLoss):
    """Learn the task and, in the same steps, raise the loss of the right answers of D_F.

    Ascent has no end of its own: a batch whose loss has reached the bound gives no gradient.
    """

    card = Card(
        title="Gradient ascent",
        paper="as the baseline of arXiv 2404.05868",
        equation="L = L_task + w E_{D_F} [log π(y | x)]",
        defaults="w, the rows and the bound: this suite",
        passes="one forward and backward pass on a batch of D_F per step",
    )
    Config = GAConfig
    config: GAConfig
    off = {"weight": 0.0}
    meaning = "forgets"

    def auxiliary_loss(
        self, run: TrainingContext, losses: Tensor, batch: Batch, indices: list[int]
    ) -> Tensor | None:
        """log π, averaged over the rows; none where they are unlearned."""
        from methods.shared.auxiliary_rows import token_mean

        bound = self.config.max_unlearn_nll
        limit = math.log(vocabulary(run.net.config)) if bound is None else bound
        done = float(token_mean(losses.detach(), batch)) >= limit
        return None if done else -losses.mean()
