"""RecAdam's published rule, written out from the official code."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from bench.cells.recipe import Training
from methods.recadam.optimizer import RecAdamW, Schedule

ANNEALING: dict[str, Callable[[int, float, int], float]] = {
    "sigmoid": lambda t, k, t0: 1 / (1 + math.exp(-k * (t - t0))),
    "linear": lambda t, k, t0: min(1, t / t0),
    "constant": lambda t, k, t0: 1.0,
}


@dataclass
class Case:
    """What one comparison with the published rule is made with."""

    anneal: str = "sigmoid"
    k: float = 0.1
    t0: int = 60
    floor: float = 0.0
    anneal_task: bool = True
    gamma: float = 40.0
    lr: float = 2e-3
    decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    recipe: Training = field(default_factory=lambda: Training(warmup=0.0, schedule="constant"))
    compiled: bool = False

    def weight(self, t: int) -> float:
        """λ(t)."""
        return min(ANNEALING[self.anneal](t, self.k, self.t0), 1 - self.floor)

    def optimizer(self, start: dict[str, Tensor]) -> tuple[RecAdamW, dict[str, Tensor]]:
        """The product's optimizer, and the parameters it moves."""
        parameters = {name: torch.nn.Parameter(x.clone()) for name, x in start.items()}
        groups: dict[tuple[bool, bool], dict[str, Any]] = {}
        for name, p in parameters.items():
            key = pretrained, decays = name.startswith("body"), name.endswith("weight")
            new = {"params": [], "names": [], "pretrained": pretrained}
            group = groups.setdefault(key, {**new, "weight_decay": self.decay * decays})
            group["params"].append(p)
            group["names"].append(name)
        anchor = {name: x for name, x in start.items() if name.startswith("body")}
        schedule = Schedule(self.anneal, self.k, self.t0, self.floor)
        options: dict[str, Any] = {"lr": self.lr, "betas": self.betas, "eps": self.eps}
        options |= {"anneal_task": self.anneal_task, "compiled": self.compiled}
        return RecAdamW(list(groups.values()), anchor, schedule, self.gamma, **options), parameters


class Published:
    """The update of Sanyuan-Chen/RecAdam, one parameter and one term at a time."""

    def __init__(self, case: Case, start: dict[str, Tensor]) -> None:
        self.case = case
        self.theta = {name: x.clone() for name, x in start.items()}
        self.anchor = start
        self.m = {name: torch.zeros_like(x) for name, x in start.items()}
        self.v = {name: torch.zeros_like(x) for name, x in start.items()}
        self.t = 0

    def step(self, gradients: dict[str, Tensor], lr: float) -> None:
        self.t += 1
        case, (beta1, beta2) = self.case, self.case.betas
        for name, g in gradients.items():
            theta, m, v = self.theta[name], self.m[name], self.v[name]
            pretrained = name in self.anchor and not name.startswith("head")
            weight = case.weight(self.t) if pretrained else 1.0
            m.copy_(beta1 * m + (1 - beta1) * g)
            v.copy_(beta2 * v + (1 - beta2) * g * g)
            size = lr * math.sqrt(1 - beta2**self.t) / (1 - beta1**self.t)
            task = weight if case.anneal_task else 1.0
            theta.sub_(size * task * m / (v.sqrt() + case.eps))
            if pretrained:
                theta.sub_(lr * (1 - weight) * case.gamma * (theta - self.anchor[name]))
            if case.decay and theta.ndim > 1:
                theta.sub_(lr * case.decay * theta)
