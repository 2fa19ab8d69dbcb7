"""The contract of a method: a class of hooks around the one training loop. All are optional."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

    from bench.data import Batch
    from bench.run import Run
    from bench.spec import ModelInfo, Training

Need = Literal["generation", "text", "finetuned", "forget"]
"""What a method asks of a run, checked before anything starts: `generation` (a model that
writes text), `text` (the retention file), `finetuned` (the weights that plain fine-tuning of the
same task and seed ends with), `forget` (the prompts of a forgetting task)."""


@dataclass(frozen=True)
class NoSettings:
    """The settings of a method that has none."""


@dataclass(frozen=True)
class Card:
    """What a reader wants to know of a method before trusting its row on a board."""

    title: str
    paper: str
    equation: str
    defaults: str  # where the default settings come from
    cost: str  # extra passes and memory beside plain fine-tuning


class Method:
    """One way to fine-tune.

    The loop calls, in this order: `prepare` once; `optimizer` once; then for every step `loss`
    (on each micro-batch), `after_backward`, the optimizer's step and `after_step`; and `finish`.
    Subclasses are registered with `bench.registry.register_method`, name their settings' frozen
    dataclass in `Config` and describe themselves in `card`.
    """

    name: ClassVar[str]
    card: ClassVar[Card]
    Config: ClassVar[type] = NoSettings

    def __init__(self, config: Any) -> None:
        self.config = config

    @property
    def needs(self) -> frozenset[Need]:
        """What this method, with these settings, asks of a run."""
        return frozenset()

    def refuses(self, model: ModelInfo, recipe: Training) -> str | None:
        """Why these settings cannot work with this model and recipe; asked before anything runs."""
        return None

    def prepare(self, run: Run) -> None:
        """Before training: Fisher information, self-generated text, a teacher."""

    def optimizer(self, run: Run) -> Optimizer:
        """The optimizer; AdamW over the run's parameter groups unless the method has its own."""
        return run.adamw()

    def loss(self, run: Run, batch: Batch) -> Tensor:
        """The scalar to descend on one micro-batch; `run.task_loss` is the task's own."""
        return run.task_loss(batch)

    def after_backward(self, run: Run) -> None:
        """Once per step, when all gradients are in place and before they are clipped."""

    def after_step(self, run: Run) -> None:
        """Once per step, after the optimizer moved the weights."""

    def finish(self, run: Run) -> None:
        """After the last step, before the model is scored."""

    def state_dict(self) -> dict[str, Tensor]:
        """All that `prepare` and the hooks built up; a resumed run loads it and skips `prepare`."""
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """The inverse of `state_dict`."""
