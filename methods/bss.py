"""Batch Spectral Shrinkage: press down the directions in which a batch's features hardly differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.core.settings import Range, setting
from bench.training.method import Card, Method, Role, register_method

if TYPE_CHECKING:
    from torch import Tensor

    from bench.cells.cell import ModelInfo
    from bench.cells.recipe import Training
    from bench.network.batches import Batch
    from bench.training.context import TrainingContext


@dataclass(frozen=True)
class BSSConfig:
    """Settings of Batch Spectral Shrinkage."""

    eta: float = setting(
        1e-3, "η, the weight of the penalty", low=0.0, high=1e12, search=Range(1e-5, 0.1, log=True)
    )
    k: int = setting(1, "how many of the smallest singular values are penalised", low=1)


@register_method("bss")
class BSS(Method):
    """L = L_task + η Σ σ², over the k smallest singular values σ of the features F [n, D] of a
    batch, one row per example: what the head reads. On a causal LM that is the hidden state of the
    last prompt token before the output layer, on an encoder the input of the classifier.

    F has min(n, D) singular values; a batch with no more than k has all of them penalised. They
    are a property of the whole batch, which is therefore not cut into micro-batches.
    """

    card = Card(
        title="Batch Spectral Shrinkage",
        paper="Chen et al., NeurIPS 2019: Catastrophic Forgetting Meets Negative Transfer",
        equation="L = L_task + η Σ_{i≤k} σ_{−i}(F)²",
        defaults="η = 1e-3 and k = 1: the paper (secondary)",
        passes="none; one singular value decomposition of [batch, hidden size] per step",
    )
    Config = BSSConfig
    config: BSSConfig
    off = {"eta": 0.0}
    meaning = "shrinks"
    quick = {"eta": 1.0, "k": 2}

    @property
    def roles(self) -> frozenset[Role]:
        """Adds a term to the loss."""
        return frozenset({"loss"})

    def refuses(self, model: ModelInfo, recipe: Training) -> str | None:
        """Micro-batches, which have other singular values than their batch."""
        if recipe.micro_batch is None or recipe.micro_batch >= recipe.batch_size:
            return None
        return (
            f"train.micro_batch = {recipe.micro_batch} cuts the batches of {recipe.batch_size} "
            "whose singular values it penalises; leave micro_batch out"
        )

    def loss(self, run: TrainingContext, batch: Batch) -> Tensor:
        """The task's loss and the penalty."""
        from methods.shared.features import gathered, head_input, smallest_singular_values

        if self.config.eta == 0:
            return run.task_loss(batch)
        with head_input(run, batch) as features:
            loss = run.task_loss(batch)
        whole = gathered(run, batch, features())
        penalty = smallest_singular_values(whole, self.config.k).square().sum()
        if run.logging:
            run.log(penalty=self.config.eta * float(penalty.detach()))
        return loss + self.config.eta * penalty
