"""Negative preference optimisation: unlearning that slows down by itself."""

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
class NPOConfig:
    """Settings of negative preference optimisation."""

    weight: float = setting(
        0.1, "w, the weight of the unlearning loss", low=0.0, search=Range(0.01, 1.0, log=True)
    )
    beta: float = setting(
        0.1,
        "β, the inverse temperature; towards 0: gradient ascent",
        above=0.0,
        search=Range(0.01, 1.0, log=True),
    )
    rows: int = setting(256, "training rows of the forgetting tasks", low=1)
    batch_size: int = setting(16, "of these rows per step", low=1)


@register_method("npo")
class NPO(ForgetLoss):
    """Learn the task and, in the same steps, make the right answers of D_F less likely than they
    are to the base model π0; the less likely they are by then, the weaker the push."""

    card = Card(
        title="Negative preference optimisation",
        paper="arXiv 2404.05868",
        equation="L = L_task − w (2/β) E_{D_F} [log σ(−β log(π(y | x) / π0(y | x)))]",
        defaults="w, β and the rows: this suite",
        passes="a forward pass over D_F before training; one forward and backward pass on a batch "
        "of it per step",
    )
    Config = NPOConfig
    config: NPOConfig
    off = {"weight": 0.0}
    meaning = "forgets"

    def prepare(self, run: TrainingContext) -> None:
        """Gather the rows, and −log π0 of each."""
        import torch

        from methods.shared.auxiliary_rows import reference_losses

        super().prepare(run)
        self.base = reference_losses(run, self.rows) if self.weight else torch.zeros(0)

    def auxiliary_loss(
        self, run: TrainingContext, losses: Tensor, batch: Batch, indices: list[int]
    ) -> Tensor:
        """−(2/β) log σ(−β log(π/π0)), averaged over the rows."""
        from methods.shared.auxiliary_rows import preference

        return preference(losses, self.base.to(losses.device)[indices], self.config.beta)

    def state_dict(self) -> dict[str, Tensor]:
        """The rows, and −log π0 of each."""
        return {**super().state_dict(), "base": self.base}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """The rows, and −log π0 of each."""
        super().load_state_dict(state)
        self.base = state["base"]
