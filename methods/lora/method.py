"""LoRA: the pretrained weights are frozen, and low-rank changes of them are learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.core.registry import register_method
from bench.core.settings import setting
from bench.training.method import Card, Method, Role

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

    from bench.cells.cell import ModelInfo, Training
    from bench.training.context import Run


@dataclass(frozen=True)
class LoRAConfig:
    """Settings of LoRA."""

    r: int = setting(16, "rank of each change", low=1)
    alpha: float = setting(32.0, "α; the change is scaled by α/r", above=0.0)
    dropout: float = setting(0.0, "share of an adapter's input that is dropped", low=0.0, high=0.99)
    targets: str = setting(
        "all-linear", "all-linear (but the output layer), or names as q_proj+v_proj"
    )
    lr_factor: float = setting(
        10.0, "what the recipe's learning rate is multiplied with for adapters", above=0.0
    )


@register_method("lora")
class LoRA(Method):
    """Train A [r, in] and B [out, r] beside every linear layer's frozen W [out, in], and a new
    head in full. B starts at 0. After the last step the change is added to W, so that what is
    scored is a model like any other.

    The adapters are peft's.
    """

    card = Card(
        title="Low-rank adaptation",
        paper="Hu et al. 2021, arXiv 2106.09685; Biderman et al. 2024, arXiv 2405.09673",
        equation="W = W0 + (α/r) B A",
        defaults="lr_factor, of LoRA over full fine-tuning: Tinker's cookbook (secondary, from "
        "thinkingmachines.ai/blog/lora); r, α and targets: this suite",
        passes="none",
        memory=0.3,
    )
    Config = LoRAConfig
    config: LoRAConfig
    holds = {"alpha": 1e-3}
    meaning = "retains"
    quick = {"r": 4, "alpha": 8.0, "lr_factor": 1.0}  # the checks' rate is high for a tiny model

    @property
    def roles(self) -> frozenset[Role]:
        """Trains adapters."""
        return frozenset({"adapter"})

    def refuses(self, model: ModelInfo, recipe: Training) -> str | None:
        """Targets that the model has not."""
        if self.config.targets == LoRAConfig.targets:  # which every model has
            return None
        from methods.lora.adapters import target_layers
        from methods.shared.meta_network import complaint

        def check(net: nn.Module) -> None:
            target_layers(net, dict(net.named_parameters()), self.config.targets)

        return complaint(model, check)

    def optimizer(self, run: Run) -> Optimizer:
        """AdamW over the adapters, which are put in here, and a new head.

        Raises:
            CellError: the model has no such layers.
        """
        from methods.lora.adapters import attach, faster

        self.tuner = attach(run, self.config)
        return run.adamw(faster(run.parameter_groups(), self.config.lr_factor))

    def finish(self, run: Run) -> None:
        """Merge the adapters into the weights, and take them out."""
        self.tuner.merge_and_unload()
        run.net.requires_grad_(True)
