"""Learning without Forgetting: the base model teaches on the new task's own inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.core.settings import Range, setting
from bench.training.method import Card, Keeps, Method, Role, register_method

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

    from bench.cells.cell import ModelInfo
    from bench.cells.recipe import Training
    from bench.network.batches import Batch
    from bench.training.context import TrainingContext


@dataclass(frozen=True)
class DistillConfig:
    """Settings of distillation."""

    weight: float = setting(
        1.0, "w, the weight of the distillation loss", low=0.0, search=Range(0.1, 10.0, log=True)
    )
    temperature: float = setting(2.0, "T, of the teacher and the student", above=0.0)


@register_method("distill")
class Distill(Method):
    """Add how far the model's next tokens are from the base model's, at every position of the
    example, prompt and answer. (Learning *without* Forgetting, LwF; `lwf` is another method.)

    An example's divergence is averaged over its positions, and weighs as its own loss does.
    """

    card = Card(
        title="Distillation from the base model",
        paper="Li & Hoiem 2016, arXiv 1606.09282 (Learning without Forgetting)",
        equation="L = L_task + w T² KL(softmax(z0 / T) ‖ softmax(z / T))",
        defaults="T = 2: the paper (secondary); w = 1, and the factor T², which keeps w's "
        "meaning at any T: this suite",
        passes="the teacher's forward pass per step, and the vocabulary's logits at all positions",
    )
    Config = DistillConfig
    config: DistillConfig
    off = {"weight": 0.0}
    keeps = Keeps(teacher=1)
    meaning = "retains"

    @property
    def roles(self) -> frozenset[Role]:
        """A term beside the task's loss."""
        return frozenset({"loss"})

    def refuses(self, model: ModelInfo, recipe: Training) -> str | None:
        """A new head has no teacher."""
        if model.generates:
            return None
        return "it is an encoder: its new head has no counterpart in the base model to learn from"

    def optimizer(self, run: TrainingContext) -> Optimizer:
        """AdamW; the teacher is loaded here, which a resumed run does, too."""
        from methods.distill.teacher import teacher

        if self.config.weight:
            self.teacher = teacher(run)
        return run.adamw()

    def loss(self, run: TrainingContext, batch: Batch) -> Tensor:
        """The task's loss and w T² KL(teacher ‖ student)."""
        from methods.distill.teacher import divergence, observed, teacher_logits, weighed

        if not self.config.weight:
            return run.task_loss(batch)
        loss, logits = observed(run.task_model, batch, lambda: run.task_loss(batch))
        temperature = self.config.temperature
        apart = divergence(teacher_logits(self.teacher, batch), logits, temperature)
        return loss + self.config.weight * temperature**2 * weighed(apart, batch)
