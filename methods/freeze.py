"""Freezing: the embeddings and the bottom blocks keep their pretrained weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.errors import CellError
from bench.registry import register_method
from bench.settings import setting
from methods.base import Card, Method, Role

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from bench.run import Run
    from bench.spec import ModelInfo, Training


@dataclass(frozen=True)
class FreezeConfig:
    """Settings of freezing; with 0 blocks the embeddings are not frozen either."""

    blocks: int | None = setting(None, "bottom blocks to freeze; none: from share", low=0)
    share: float = setting(0.5, "share of the blocks to freeze", low=0.0, high=1.0)


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
        memory=0.6,
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
        """More blocks than the model has."""
        return self._too_many(model.blocks) if model.blocks else None

    def _too_many(self, blocks: int) -> str | None:
        if (self.config.blocks or 0) <= blocks:
            return None
        return f"freeze.blocks = {self.config.blocks}, and the model has {blocks} blocks"

    def optimizer(self, run: Run) -> Optimizer:
        """AdamW over what is not frozen.

        Raises:
            CellError: more blocks to freeze than there are.
        """
        from methods.kernels.depth import depths

        depth = depths(run.net)
        blocks = max(depth.values()) - 1
        if reason := self._too_many(blocks):
            raise CellError(reason)
        count = self.config.blocks
        frozen = round(self.config.share * blocks) if count is None else count
        self.frozen = [
            parameter
            for name, parameter in run.net.named_parameters()
            if frozen and depth[name] > blocks - frozen and parameter.requires_grad
        ]
        for parameter in self.frozen:
            parameter.requires_grad_(False)
        return run.adamw()

    def finish(self, run: Run) -> None:
        """What was frozen can be trained again, by whatever comes next."""
        for parameter in self.frozen:
            parameter.requires_grad_(True)
