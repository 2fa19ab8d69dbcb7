"""Freezing: the embeddings and the bottom blocks keep their pretrained weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.core.errors import CellError
from bench.core.settings import Range, setting
from bench.training.method import Card, Method, Role, register_method

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

    from bench.cells.cell import ModelInfo
    from bench.cells.recipe import Training
    from bench.training.context import TrainingContext


@dataclass(frozen=True)
class FreezeConfig:
    """Settings of freezing; with 0 blocks the embeddings are not frozen either."""

    blocks: int | None = setting(None, "bottom blocks to freeze; none: from share", low=0)
    share: float = setting(
        0.5, "share of the blocks to freeze", low=0.0, high=1.0, search=Range(0.0, 1.0)
    )


@register_method("freeze")
class Freeze(Method):
    """Train only what lies above the frozen blocks. Embeddings are frozen with them, also where
    they are the output layer, too (tied)."""

    card = Card(
        title="Freezing the bottom layers",
        paper="Zheng et al. 2025, arXiv 2501.13453",
        equation="θ_l = θ0_l for the embeddings and the bottom blocks",
        defaults="half of the blocks: this suite",
        passes="none, and no backward pass below the lowest block that is trained",
    )
    Config = FreezeConfig
    config: FreezeConfig
    off = {"blocks": 0}
    meaning = "retains"

    @property
    def roles(self) -> frozenset[Role]:
        """Trains what lies above the frozen blocks."""
        return frozenset({"subset"})

    def refuses(self, model: ModelInfo, recipe: Training) -> str | None:
        """More blocks than the model has, or none that can be told apart."""
        from methods.shared.meta_network import complaint

        return complaint(model, self._below)

    def optimizer(self, run: TrainingContext) -> Optimizer:
        """AdamW over what is not frozen.

        Raises:
            CellError: more blocks to freeze than there are, or none that can be told apart.
        """
        named = list(run.net.named_parameters())
        before = {name for name, parameter in named if parameter.requires_grad}
        self.trains(run.net)
        self.frozen = {name for name, parameter in named if not parameter.requires_grad} & before
        return run.adamw()

    def trains(self, net: nn.Module) -> None:
        """What lies above the frozen blocks."""
        for parameter in self._below(net):
            parameter.requires_grad_(False)

    def _below(self, net: nn.Module) -> list[nn.Parameter]:
        """The parameters of the embeddings and the bottom blocks."""
        from methods.shared.depth import depths

        depth, count = depths(net), self.config.blocks
        blocks = max(depth.values()) - 1
        if count is not None and count > blocks:
            raise CellError(f"freeze.blocks = {count}, and the model has {blocks} blocks")
        frozen = round(self.config.share * blocks) if count is None else count
        named = net.named_parameters()
        return [p for name, p in named if frozen and depth[name] > blocks - frozen]

    def finish(self, run: TrainingContext) -> None:
        """What was frozen can be trained again, by whatever comes next."""
        for name, parameter in run.net.named_parameters():
            if name in self.frozen:
                parameter.requires_grad_(True)
