"""Child-Tuning: only a part of the network, the child, gets gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.core.settings import Range, setting
from bench.training.method import Card, Keeps, Method, Role, register_method

if TYPE_CHECKING:
    from torch import Tensor

    from bench.training.context import TrainingContext


@dataclass(frozen=True)
class ChildTuningConfig:
    """Settings of Child-Tuning."""

    mode: str = setting(
        "F",
        "F: a child drawn at random for every step; D: one child, the weights with the largest "
        "Fisher information of the task",
        choices=("F", "D"),
    )
    p: float = setting(
        0.3,
        "share of the pretrained weights that are in the child",
        above=0.0,
        high=1.0,
        search=Range(0.1, 0.5),
    )
    fisher_rows: int = setting(1024, "rows of the task that D's Fisher is a mean over", low=1)


@register_method("child_tuning")
class ChildTuning(Method):
    """Mask the gradients before the optimizer sees them, so that its moments are the child's.

    F keeps each gradient with probability p and divides it by p; D keeps the share p with the
    largest empirical Fisher information at θ0, over all pretrained weights together, and does not
    rescale. A new head is not masked. Weight decay stays the recipe's, for the masked, too.
    """

    card = Card(
        title="Child-Tuning",
        paper="Xu et al., EMNLP 2021, arXiv 2109.05687",
        equation="θ ← θ − η Adam(g ⊙ M);  F: M ~ Bernoulli(p) / p;  D: M = [F_i in the top p]",
        defaults="p and fisher_rows: this suite",
        passes="F: none; D: one over fisher_rows rows of the task before training",
    )
    Config = ChildTuningConfig
    config: ChildTuningConfig
    off = {"p": 1.0}
    meaning = "retains"
    quick = {"fisher_rows": 64}
    variants = {"D": {"mode": "D"}}

    def __init__(self, config: ChildTuningConfig | None = None) -> None:
        super().__init__(config)
        self.child: dict[str, Tensor] = {}  # of D: whether a weight is in it

    @property
    def roles(self) -> frozenset[Role]:
        """Masks the gradients."""
        return frozenset({"mask"})

    @property
    def keeps(self) -> Keeps:  # type: ignore[override]
        """D's child, a byte for each weight."""
        return Keeps(importance=0.25 if self.config.mode == "D" else 0.0)

    @property
    def prepares(self) -> Keeps:  # type: ignore[override]
        """F, twice, for its largest values are sought among all."""
        return Keeps(importance=2 + 3 * self.config.p if self.config.mode == "D" else 0.0)

    def prepare(self, run: TrainingContext) -> None:
        """Choose D's child."""
        from methods.shared.task_fisher import largest, task_fisher

        if self.config.mode == "D" and self.config.p < 1:
            fisher = task_fisher(run, self.config.fisher_rows)
            self.child = largest(fisher, self.config.p)

    def after_backward(self, run: TrainingContext) -> None:
        """g ← g ⊙ M."""
        import torch

        from methods.shared.masks import inverted_mask

        p = self.config.p
        if p == 1:
            return
        generator = torch.Generator(run.device).manual_seed(run.seed(f"child {run.step}"))
        for name, parameter in run.loaded.pretrained():
            if (grad := parameter.grad) is None:
                continue
            if self.config.mode == "D":
                grad.mul_(self.child[name])
            else:
                mask = inverted_mask(grad, p, generator)
                grad.mul_(run.placed(mask, grad))

    def state_dict(self) -> dict[str, Tensor]:
        """D's child."""
        return self.child

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """D's child."""
        self.child = state
