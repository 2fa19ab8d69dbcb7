"""WiSE-FT: the fine-tuned weights, moved a part of the way back to the pretrained ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.core.settings import Range, setting
from bench.training.method import Card, Method, Need, Role, register_method

if TYPE_CHECKING:
    from bench.training.context import TrainingContext


@dataclass(frozen=True)
class WiSEFTConfig:
    """Settings of WiSE-FT."""

    alpha: float = setting(
        0.5, "α, the share of the fine-tuned weights", low=0.0, high=1.0, search=Range(0.1, 1.0)
    )


@register_method("wise_ft")
class WiSEFT(Method):
    """Fine-tune as ever, and average the weights with θ0 once at the end.

    A new head has no θ0 and stays as it was trained.
    """

    card = Card(
        title="WiSE-FT: weight-space ensemble of base and fine-tuned",
        paper="Wortsman et al., CVPR 2022, arXiv 2109.01903",
        equation="θ = (1 − α) θ0 + α θ_ft",
        defaults="α = 1/2: this suite",
        passes="none",
    )
    Config = WiSEFTConfig
    config: WiSEFTConfig
    off = {"alpha": 1.0}
    holds = {"alpha": 0.0}
    meaning = "retains"

    @property
    def roles(self) -> frozenset[Role]:
        """Moves the weights after the last step."""
        return frozenset({"finish"})

    @property
    def needs(self) -> frozenset[Need]:
        """Alone, it is plain fine-tuning but for its end, and is spared where that is kept."""
        return frozenset({"finetuned"})

    def finish(self, run: TrainingContext) -> None:
        """θ ← (1 − α) θ0 + α θ; lerp is exact at both ends."""
        for name, parameter in run.loaded.pretrained():
            base = run.loaded.base[name].to(parameter.device)  # read once, so none is kept there
            parameter.data.lerp_(base, 1 - self.config.alpha)
