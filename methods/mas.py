"""Memory-aware synapses: EWC whose importance is how much the base model's output depends on θ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.core.settings import Range, setting
from bench.training.method import Card, register_method
from methods.ewc import EWC

if TYPE_CHECKING:
    from torch import Tensor

    from bench.training.context import TrainingContext


@dataclass(frozen=True)
class MASConfig:
    """Settings of MAS."""

    strength: float = setting(
        0.01, "λ, the weight of the penalty", low=0.0, high=1e12, search=Range(1e-4, 1e2, log=True)
    )
    text: str = setting(
        "sampled",
        "what Ω is a mean over: text sampled from the base model, or the retention file",
        choices=("sampled", "retention"),
    )
    blocks: int = setting(128, "pieces of text, of up to 128 tokens, that Ω is a mean over", low=1)
    normalise: bool = setting(True, "scale Ω to mean 1, so that λ is portable")


@register_method("mas")
class MAS(EWC):
    """L = L_task + (λ/2) Σ Ω (θ − θ0)². No label has a part in Ω: it is the mean over texts x of
    |∂‖f(x)‖²/∂θ| at θ0, f(x) being the model's logits at every predicted place of x.

    The texts are those of EWC, because it is the pretrained model's knowledge that is protected.
    """

    card = Card(
        title="Memory-aware synapses",
        paper="Aljundi et al., ECCV 2018, arXiv 1711.09601",
        equation="L = L_task + (λ/2) Σ_i Ω_i (θ_i − θ0_i)²,  Ω_i = E_x |∂‖f(x)‖²/∂θ_i|",
        defaults="λ, the scale of Ω and its texts, all as EWC's: this suite",
        passes="one over the texts before training (and their sampling), once per model",
    )
    Config = MASConfig
    config: MASConfig  # type: ignore[assignment]
    text_setting = "text"

    def importance(self, run: TrainingContext) -> dict[str, Tensor]:
        """Ω, by parameter."""
        from methods.shared.text_fisher import base_sensitivity

        return base_sensitivity(run, self._sampled, self.config.blocks)
