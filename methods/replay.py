"""Replay: text of the kind that the model was pretrained on, mixed into training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.core.settings import Range, setting
from bench.training.method import Card, Need, Reads, register_method
from methods.shared.auxiliary_loss import AuxiliaryLoss

if TYPE_CHECKING:
    from torch import Tensor

    from bench.cells.recipe import Training
    from bench.network.batches import Batch
    from bench.training.context import TrainingContext
    from methods.shared.answers import AnswerSet


@dataclass(frozen=True)
class ReplayConfig:
    """Settings of replay."""

    share: float = setting(
        0.25,
        "blocks of text per example of the task; at least one if over 0",
        low=0.0,
        high=16.0,
        search=Range(0.05, 1.0, log=True),
    )
    weight: float = setting(
        1.0, "w, the weight of the text's loss", low=0.0, search=Range(0.1, 10.0, log=True)
    )
    source: str = setting(
        "sampled",
        "text that the base model writes, or the part of the retention file that is not scored",
        choices=("sampled", "retention"),
    )
    blocks: int = setting(128, "pieces of text, of up to 128 tokens", low=1)


@register_method("replay")
class Replay(AuxiliaryLoss):
    """Add the language-model loss of a few blocks of text to every step.

    The blocks have nothing in common with the text whose loss is scored as retention.
    """

    card = Card(
        title="Replay of pretraining text",
        paper="arXiv 2502.06042",
        equation="L = L_task + w L_text",
        defaults="share, w and blocks: this suite; in the paper 1 % of pretraining data stops the "
        "loss of it (secondary)",
        passes="writing the text; one forward and backward pass on share x batch blocks per step",
    )
    Config = ReplayConfig
    config: ReplayConfig
    off = {"share": 0.0}
    meaning = "retains"
    quick = {"blocks": 16}
    why_not_encoder = "the new head stands in the place of the one that predicts text"

    @property
    def weight(self) -> float:
        """w, or 0 without a share."""
        return self.config.weight if self.config.share else 0.0

    @property
    def needs(self) -> frozenset[Need]:
        """A model that writes text, or a text to read."""
        return frozenset({"generation"} if self.config.source == "sampled" else {"text"})

    def batch_size(self, recipe: Training) -> int:
        """Blocks per step."""
        return max(1, round(self.config.share * recipe.batch_size))

    @property
    def count(self) -> int:
        """Blocks."""
        return self.config.blocks

    def reads(self, recipe: Training) -> Reads | None:
        """The blocks of a step."""
        from bench.network.running_text import BLOCK

        return Reads(self.batch_size(recipe), tokens=BLOCK) if self.weight else None

    def gather(self, run: TrainingContext) -> AnswerSet:
        """The blocks."""
        from methods.shared.auxiliary_rows import text_rows

        return text_rows(run, self.config.source == "sampled", self.config.blocks)

    def auxiliary_loss(
        self, run: TrainingContext, losses: Tensor, batch: Batch, indices: list[int]
    ) -> Tensor:
        """The mean loss of the text's tokens."""
        from methods.shared.auxiliary_rows import token_mean

        return token_mean(losses, batch)
