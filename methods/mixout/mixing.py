"""Weights in the place of which a mixture with θ0 stands for the length of a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from methods.shared.masks import inverted_mask

if TYPE_CHECKING:
    from bench.training.context import TrainingContext


class Mixed(NamedTuple):
    """A parameter that holds a mixture."""

    parameter: nn.Parameter
    own: Tensor  # θ
    factor: Tensor  # M / (1 − p), which is d mixture / d θ


@torch.no_grad()
def mix(run: TrainingContext, p: float) -> list[Mixed]:
    """Put ((1 − M) θ0 + M θ − p θ0) / (1 − p) = θ0 + M (θ − θ0) / (1 − p) in the place of θ.

    M depends on (task, seed, step) alone, so that every process and a resumed run draw the same.
    """
    generator = torch.Generator(run.device).manual_seed(run.seed(f"mixout {run.step}"))
    mixed = []
    for name, parameter in _linear_weights(run):
        base, own = run.anchor[name], parameter.data
        factor = inverted_mask(own, 1 - p, generator)
        parameter.data = torch.addcmul(base, factor, own - base)
        mixed.append(Mixed(parameter, own, factor))
    return mixed


@torch.no_grad()
def restore(mixed: list[Mixed]) -> None:
    """Put θ back, the very tensor, and turn gradients of the mixture into gradients of θ."""
    for parameter, own, factor in mixed:
        parameter.data = own
        if parameter.grad is not None:
            parameter.grad.mul_(factor)


def _linear_weights(run: TrainingContext) -> list[tuple[str, nn.Parameter]]:
    """The pretrained weight matrices of linear layers that are not an embedding as well."""
    linear, tables = set(), set()
    for module in run.net.modules():
        if isinstance(module, nn.Linear | Conv1D):
            linear.add(id(module.weight))
        elif isinstance(module, nn.Embedding):
            tables.add(id(module.weight))
    return [(name, p) for name, p in run.loaded.pretrained() if id(p) in linear - tables]
