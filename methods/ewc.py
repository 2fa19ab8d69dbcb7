"""Elastic weight consolidation: a quadratic pull to θ0, stiff where the base model is sure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bench.core.settings import Range, setting
from bench.training.method import Card, Keeps, Method, Need, Role, register_method

if TYPE_CHECKING:
    from torch import Tensor

    from bench.cells.cell import ModelInfo
    from bench.cells.recipe import Training
    from bench.training.context import TrainingContext


@dataclass(frozen=True)
class EWCConfig:
    """Settings of EWC."""

    strength: float = setting(
        0.01, "λ, the weight of the penalty", low=0.0, high=1e12, search=Range(1e-4, 1e2, log=True)
    )
    fisher: str = setting(
        "sampled",
        "what F is estimated on: text sampled from the base model (the true Fisher), or the "
        "retention file (the empirical Fisher)",
        choices=("sampled", "retention"),
    )
    blocks: int = setting(128, "pieces of text, of up to 128 tokens, that F is a mean over", low=1)
    normalise: bool = setting(True, "scale F to mean 1, so that λ is portable")


@register_method("ewc")
class EWC(Method):
    """L = L_task + (λ/2) Σ F (θ − θ0)², with its gradient λ F (θ − θ0) added in closed form.

    F is the mean over texts of the SQUARED gradient of one text's log-likelihood, at θ0, in
    float32. A new head has no θ0 and is not penalised.
    """

    card = Card(
        title="Elastic weight consolidation",
        paper="Kirkpatrick et al. 2017, arXiv 1612.00796",
        equation="L = L_task + (λ/2) Σ_i F_i (θ_i − θ0_i)²",
        defaults="λ: this suite, looked at on CoLA's dev rows with seed 100; it is not portable, "
        "and runs from 0.25 to 1e12 in public code (seen); F scaled to mean 1 for that reason, and "
        "its texts: this suite",
        passes="one over the texts before training (and their sampling), once per model",
    )
    Config: ClassVar[type] = EWCConfig
    config: EWCConfig
    off = {"strength": 0.0}
    holds = {"strength": 1e9}
    keeps = Keeps(theta0=1, importance=1)
    prepares = Keeps(importance=2)  # F, and scaled
    meaning = "retains"
    quick = {"blocks": 8}
    text_setting: ClassVar[str] = "fisher"

    @property
    def roles(self) -> frozenset[Role]:
        """A force towards θ0, in the gradients."""
        return frozenset({"pull"})

    @property
    def needs(self) -> frozenset[Need]:
        """A model that writes text, or a text to read."""
        return frozenset({"generation"} if self._sampled else {"text"})

    @property
    def _sampled(self) -> bool:
        return bool(getattr(self.config, self.text_setting) == "sampled")

    def refuses(self, model: ModelInfo, recipe: Training) -> str | None:
        """An encoder writes no text to sample from, and not each has a head that reads one."""
        if not model.generates and not model.predicts_words:
            return (
                "it is an encoder without the head that predicts masked words, whose gradients "
                "tell what a text needs"
            )
        if self._sampled and not model.generates:
            return (
                "it is an encoder, which cannot write the text that F is estimated on; give one "
                f"with --retention FILE --set {self.name}.{self.text_setting}=retention"
            )
        return None

    def prepare(self, run: TrainingContext) -> None:
        """Estimate F at θ0, once for all cells of a model, and scale it."""
        import torch

        fisher = self.importance(run)
        total = sum(float(f.double().sum()) for f in fisher.values())
        mean = total / sum(f.numel() for f in fisher.values()) if self.config.normalise else 1.0
        held = getattr(torch, run.cell.training.importance)
        scale = self.config.strength / mean
        self.stiffness = {name: (f * scale).to(held) for name, f in fisher.items()}

    def importance(self, run: TrainingContext) -> dict[str, Tensor]:
        """F, by parameter."""
        from methods.shared.text_fisher import base_fisher

        return base_fisher(run, self._sampled, self.config.blocks)

    def after_backward(self, run: TrainingContext) -> None:
        """Add λ F (θ − θ0) to the gradients."""
        if self.config.strength == 0:
            return
        if run.logging:
            run.log(penalty=self._penalty(run))
        for name, parameter in run.loaded.pretrained():
            if parameter.grad is not None and name in self.stiffness:
                moved = parameter.detach().float() - run.anchor[name]
                parameter.grad.addcmul_(self.stiffness[name].to(moved.dtype), moved)

    def _penalty(self, run: TrainingContext) -> float:
        """(λ/2) Σ F (θ − θ0)²."""
        parts = [
            (self.stiffness[name] * (p.detach().float() - run.anchor[name]).square()).sum()
            for name, p in run.loaded.pretrained()
            if name in self.stiffness
        ]
        return 0.5 * run.number(sum(parts[1:], parts[0]))

    def state_dict(self) -> dict[str, Tensor]:
        """λF, by parameter."""
        return self.stiffness

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """λF, by parameter."""
        self.stiffness = state
