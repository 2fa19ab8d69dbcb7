"""The same quantities the slow way: in float64, from one example's gradient at a time."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from bench.speed.workloads import Batch

Losses = Callable[[nn.Module, Batch], Tensor]
Tensors = dict[str, Tensor]


def single_gradients(net: nn.Module, batch: Batch, losses: Losses) -> Iterator[Tensors]:
    """The gradients of each example's loss, by name."""
    net = copy.deepcopy(net).double()
    for e in range(len(batch["ids"])):
        net.zero_grad()
        loss = losses(net, {name: value[e : e + 1] for name, value in batch.items()}).sum()
        torch.autograd.backward(loss)
        yield {
            name: torch.zeros_like(p) if p.grad is None else p.grad.clone()
            for name, p in net.named_parameters()
        }


def fisher(net: nn.Module, batch: Batch, losses: Losses) -> Tensors:
    """Mean over the examples of the squared gradient."""
    total: Tensors = {}
    for gradients in single_gradients(net, batch, losses):
        for name, g in gradients.items():
            total[name] = total.get(name, torch.zeros_like(g)) + g.square()
    return {name: value / len(batch["ids"]) for name, value in total.items()}


def confidence(
    net: nn.Module, batch: Batch, losses: Losses, weights: Tensors, star: Tensors, alpha: float
) -> Tensor:
    """½ Σ F (θ0 − α g − θ*)² of each example, less the same without g, [n]."""
    theta = {name: p.detach().double() for name, p in net.named_parameters()}
    found = []
    for gradients in single_gradients(net, batch, losses):
        change = 0.0
        for name, g in gradients.items():
            weight, d = weights[name].double(), theta[name] - star[name].double()
            change += 0.5 * float((weight * ((d - alpha * g).square() - d.square())).sum())
        found.append(change)
    return torch.tensor(found, dtype=torch.float64)


def recadam(
    start: Tensor,
    gradients: list[Tensor],
    anchor: Tensor,
    schedule: Callable[[int], float],
    lr: float,
    gamma: float,
    decay: float,
) -> Tensor:
    """Where RecAdam's official rule takes a parameter, with β = (0.9, 0.999) and ε = 1e-8."""
    theta, anchor = start.double(), anchor.double()
    m, v = torch.zeros_like(theta), torch.zeros_like(theta)
    for t, gradient in enumerate(gradients, 1):
        g = gradient.double()
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g.square()
        rate = lr * math.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        theta = theta - rate * schedule(t) * m / (v.sqrt() + 1e-8)
        theta = theta - lr * (1 - schedule(t)) * gamma * (theta - anchor)
        theta = theta - lr * decay * theta
    return theta


def relative_error(found: Tensors, expected: Tensors) -> float:
    """The largest difference, over the largest entry of its tensor (at least a thousandth of the
    largest of all, so that what should be zero counts too)."""
    floor = 1e-3 * max(float(value.abs().max()) for value in expected.values())
    return max(
        float((found[name].double() - value).abs().max()) / max(float(value.abs().max()), floor)
        for name, value in expected.items()
    )
