"""Mixout: dropout that falls back to the pretrained weights instead of to zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.core.settings import Range, setting
from bench.training.method import Card, Keeps, Method, Role, register_method

if TYPE_CHECKING:
    from torch import Tensor

    from bench.network.batches import Batch
    from bench.training.context import TrainingContext
    from methods.mixout.mixing import Mixed


@dataclass(frozen=True)
class MixoutConfig:
    """Settings of Mixout."""

    p: float = setting(
        0.5,
        "p, the probability that a weight is swapped for θ0",
        low=0.0,
        high=0.99,
        search=Range(0.1, 0.9),
    )


@register_method("mixout")
class Mixout(Method):
    """Train on a mixture of θ and θ0 that is drawn anew at every step, weight by weight:
    M ~ Bernoulli(1 − p); the weights themselves are never replaced.

    As in the official code (bloodwass/mixout, seen) the weight matrices of linear layers are mixed,
    not their biases, nor norms and embeddings (so not an output layer that is tied to them either),
    nor a new head, which has no θ0. One draw serves a whole step, however many micro-batches it
    has. Dropout stays the model's; the official examples switch it off (seen).
    """

    card = Card(
        title="Mixout",
        paper="Lee et al., ICLR 2020, arXiv 1909.11299",
        equation="L_task(((1 − M) θ0 + M θ − p θ0) / (1 − p))",
        defaults="p: this suite; what is mixed: the official code (seen)",
        passes="none",
    )
    Config = MixoutConfig
    config: MixoutConfig
    off = {"p": 0.0}
    keeps = Keeps(theta0=1, star=2)  # θ, which the mixture stands in for, and M / (1 − p)
    meaning = "retains"
    whole = "mixout puts other weights in the place of the trained ones at every step"

    def __init__(self, config: MixoutConfig | None = None) -> None:
        super().__init__(config)
        self.mixed: list[Mixed] = []  # empty between steps

    @property
    def roles(self) -> frozenset[Role]:
        """The loss is computed at mixed weights."""
        return frozenset({"forward"})

    def loss(self, run: TrainingContext, batch: Batch) -> Tensor:
        """The task's loss at the mixed weights of this step."""
        from methods.mixout.mixing import mix

        if self.config.p and not self.mixed:
            self.mixed = mix(run, self.config.p)
        return run.task_loss(batch)

    def after_backward(self, run: TrainingContext) -> None:
        """Put θ back, and carry the gradients over from the mixture to θ."""
        from methods.mixout.mixing import restore

        restore(self.mixed)
        self.mixed = []
