"""RecAdam's update, as one fused AdamW step and one pull in place."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from bench.models import Loaded

_CHANGED = ("lr", "eps", "weight_decay")  # of a group, during a step
_TINY = 2.0**-1000


@dataclass(frozen=True)
class Schedule:
    """λ(t), the weight of the task; t counts optimizer steps from 1."""

    anneal: str
    k: float
    t0: int
    floor: float = 0.0

    def __call__(self, t: int) -> float:
        if self.anneal == "sigmoid":
            # tanh does not overflow where exp(−k(t−t0)) does
            weight = 0.5 * (1.0 + math.tanh(0.5 * self.k * (t - self.t0)))
        elif self.anneal == "linear":
            weight = min(1.0, t / self.t0)
        elif self.anneal == "constant":
            weight = 1.0
        else:
            raise ValueError(f"unknown annealing {self.anneal!r}")
        return min(weight, 1.0 - self.floor)


class RecAdamW(torch.optim.AdamW):
    """The official rule, in its order, for groups marked `pretrained`:

        θ ← θ − lr √(1−β2^t)/(1−β1^t) λ m/(√v + ε)      the moments see the task gradient alone
        θ ← θ − lr (1−λ) γ (θ − θ0)                     on the updated θ
        θ ← θ − lr · weight_decay · θ

    and AdamW, with the same place of ε, for the others. A parameter without a gradient stays; t
    counts the steps of its group.

    Args:
        groups: as for AdamW, with `names` and `pretrained`.
        anchor: θ0 by name.

    Raises:
        ValueError: a pretrained parameter has no θ0, or nothing is pulled at all (public re-uses
            of the method have failed in just this way, unseen).
    """

    def __init__(
        self,
        groups: list[dict[str, Any]],
        anchor: dict[str, Tensor],
        schedule: Schedule,
        gamma: float,
        **options: Any,
    ) -> None:
        super().__init__(groups, fused=True, **options)
        self.schedule, self.gamma, self.last_lambda = schedule, gamma, 0.0
        self.targets: list[list[Tensor]] = []
        for group in self.param_groups:
            missing = [name for name in group["names"] if name not in anchor]
            if group["pretrained"] and missing:
                raise ValueError(f"no pretrained value for {missing[0]}")
            self.targets.append([anchor[n] for n in group["names"]] if group["pretrained"] else [])
            group.setdefault("t", 0)
        if not any(self.targets):
            raise ValueError("RecAdam has nothing to recall: no parameter is pretrained")

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """One update."""
        assert closure is None, "the loop computes the loss"
        kept = [{key: group[key] for key in _CHANGED} for group in self.param_groups]
        pulls = [self._fold(group) for group in self.param_groups]
        super().step()
        for group, own, targets, pull in zip(
            self.param_groups, kept, self.targets, pulls, strict=True
        ):
            group.update(own)
            moved = [i for i, p in enumerate(group["params"]) if p.grad is not None]
            if pull and moved:
                params, anchors = [group["params"][i] for i in moved], [targets[i] for i in moved]
                torch._foreach_lerp_(params, anchors, pull)

    def _fold(self, group: dict[str, Any]) -> float:
        """Set AdamW up to do all but the pull in its one pass; returns the weight of the pull.

        With c = lr (1−λ) γ, d = lr · weight_decay and Adam's step u, the rule's three lines are
        θ ← (1−d) ((1−c) (θ − λu) + c θ0) = (1−w) r (θ − λu) + w θ0 with w = c (1−d) and
        r = (1−c) (1−d) / (1−w). Without decay r is 1 and a weight at θ0 stays there exactly.
        """
        group["t"] += 1
        task = self.last_lambda = self.schedule(group["t"])
        if not group["pretrained"]:
            task = 1.0
        c, d = group["lr"] * (1 - task) * self.gamma, group["lr"] * group["weight_decay"]
        pull: float = c * (1 - d)
        rest = (1 - c) * (1 - d) / (1 - pull) if pull != 1 else 1.0
        # AdamW multiplies θ by 1 − lr · weight_decay, which is to be `rest` even where λ is 0
        group["lr"] = group["lr"] * task * rest or _TINY
        group["weight_decay"] = (1 - rest) / group["lr"]
        # AdamW adds ε to √v after the bias correction, the official rule before it
        group["eps"] /= math.sqrt(1 - group["betas"][1] ** group["t"])
        return pull


def randomise(loaded: Loaded, seed: int) -> None:
    """Give the backbone the architecture's own random initialisation; a new head stays."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        fresh = type(loaded.net)(loaded.net.config)
    values = dict(fresh.named_parameters())
    with torch.no_grad():
        for name, parameter in loaded.pretrained():
            parameter.copy_(values[name])
