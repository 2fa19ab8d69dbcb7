"""L2-SP: a pull to the pretrained weights, beside the recipe's own weight decay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.core.settings import Range, setting
from bench.training.method import Card, Keeps, Method, Role, register_method

if TYPE_CHECKING:
    from bench.training.context import TrainingContext


@dataclass(frozen=True)
class L2SPConfig:
    """Settings of L2-SP."""

    alpha: float = setting(
        0.01,
        "α, the weight of the pull to θ0",
        low=0.0,
        high=1e12,
        search=Range(1e-4, 1.0, log=True),
    )
    beta: float = setting(0.01, "β, the weight of the decay of a new head", low=0.0, high=1e12)


@register_method("l2sp")
class L2SP(Method):
    """Add the gradient of the penalty, α (θ − θ0) and for a new head β θ, in closed form.

    It goes through Adam's moments, as the task's own gradient does; the recipe's decoupled weight
    decay stays as it is, so that methods differ in the penalty alone.
    """

    card = Card(
        title="L2-SP: the starting point as the reference",
        paper="Li et al., ICML 2018, arXiv 1802.01483",
        equation="L = L_task + (α/2) ‖θ − θ0‖² + (β/2) ‖θ_head‖²",
        defaults="α, β, and the recipe's weight decay beside them: this suite",
        passes="none",
    )
    Config = L2SPConfig
    config: L2SPConfig
    off = {"alpha": 0.0, "beta": 0.0}
    holds = {"alpha": 1e6}
    keeps = Keeps(theta0=1)
    meaning = "retains"

    @property
    def roles(self) -> frozenset[Role]:
        """A force towards θ0, in the gradients."""
        return frozenset({"pull"})

    def after_backward(self, run: TrainingContext) -> None:
        """Add α (θ − θ0), or β θ, to the gradients."""
        for name, parameter in run.net.named_parameters():
            if parameter.grad is None:
                continue
            if name in run.anchor:
                moved = parameter.detach().float() - run.anchor[name]
                parameter.grad.add_(moved, alpha=self.config.alpha)
            else:
                parameter.grad.add_(parameter.detach(), alpha=self.config.beta)
