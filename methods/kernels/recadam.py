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

    and AdamW, with the same place of ε, for the others. A parameter without a gradient stays.

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
        kept = []
        for group in self.param_groups:
            group["t"] += 1
            kept.append((group["lr"], group["eps"], group["weight_decay"]))
            self.last_lambda = self.schedule(group["t"])
            weight = self.last_lambda if group["pretrained"] else 1.0
            # AdamW adds ε to √v after the bias correction, the official rule before it
            group["eps"] /= math.sqrt(1 - group["betas"][1] ** group["t"])
            group["lr"] *= weight
            group["weight_decay"] = 0.0
        super().step()
        for group, targets, (lr, eps, decay) in zip(
            self.param_groups, self.targets, kept, strict=True
        ):
            group["lr"], group["eps"], group["weight_decay"] = lr, eps, decay
            moved = [i for i, p in enumerate(group["params"]) if p.grad is not None]
            params = [group["params"][i] for i in moved]
            pull = lr * (1 - self.schedule(group["t"])) * self.gamma
            if targets and pull and params:
                torch._foreach_lerp_(params, [targets[i] for i in moved], pull)
            if decay and params:
                torch._foreach_mul_(params, 1 - lr * decay)


def randomise(loaded: Loaded, seed: int) -> None:
    """Give the backbone the architecture's own random initialisation; a new head stays."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        fresh = type(loaded.net)(loaded.net.config)
    values = dict(fresh.named_parameters())
    with torch.no_grad():
        for name, parameter in loaded.pretrained():
            parameter.copy_(values[name])
