"""LoRA: the pretrained weights are frozen, and low-rank changes of them are learned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.training.method import Card, Method, Role, register_method
from methods.lora.settings import LoRAConfig

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

    from bench.cells.cell import ModelInfo
    from bench.cells.recipe import Training
    from bench.training.context import TrainingContext


@register_method("lora")
class LoRA(Method):
    """Train A [r, in] and B [out, r] beside every linear layer's frozen W [out, in], and a new
    head in full. B starts at 0. After the last step W makes way for the sum, so that what is
    scored is a model like any other, and W, which is θ0, was never copied.

    The adapters are peft's.
    """

    card = Card(
        title="Low-rank adaptation",
        paper="Hu et al. 2021, arXiv 2106.09685; Biderman et al. 2024, arXiv 2405.09673",
        equation="W = W0 + (α/r) B A",
        defaults="lr_factor, of LoRA over full fine-tuning: Tinker's cookbook (secondary, from "
        "thinkingmachines.ai/blog/lora); r, α and targets: this suite",
        passes="none",
    )
    Config = LoRAConfig
    config: LoRAConfig
    holds = {"alpha": 1e-3}
    leaves_theta0 = True
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

    def optimizer(self, run: TrainingContext) -> Optimizer:
        """AdamW over the adapters, which are put in here, and a new head.

        Raises:
            CellError: the model has no such layers.
        """
        from methods.lora.adapters import attach, faster

        self.tuner = attach(run.net, run.loaded.base, self.config, run.seed("lora"))
        return run.adamw(faster(run.parameter_groups(), self.config.lr_factor))

    def trains(self, net: Any) -> None:
        """The adapters, and a new head."""
        from methods.lora.adapters import attach

        body = f"{net.base_model_prefix}."
        generates = net.get_output_embeddings() is not None
        names = [name for name, _ in net.named_parameters() if generates or name.startswith(body)]
        attach(net, names, self.config, 0)

    def finish(self, run: TrainingContext) -> None:
        """Merge the adapters into the weights, and take them out."""
        from methods.lora.adapters import merge

        merge(self.tuner)
        run.net.requires_grad_(True)
