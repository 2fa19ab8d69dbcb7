"""Layers without a rule, or used in ways that no rule covers; what is asked of a model.

The rules of bench.gradients.layers are held against autograd, one example at a time.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.gemma.modeling_gemma import GemmaRMSNorm

from bench.gradients.fisher import fisher_diagonal
from tests.helpers.single_examples import (
    LENGTH,
    TOLERANCE,
    Batch,
    Toy,
    error,
    make_batches,
    toy_losses,
)


class Scale(nn.Module):
    """A layer that no rule knows, with a parameter that nothing uses."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.rand(6) + 0.5)
        self.unused = nn.Parameter(torch.ones(2))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale.tanh()


def lora() -> nn.Module:
    """A linear layer as peft leaves it: base(x) + B A x."""
    config = LoraConfig(r=2, target_modules=["0"], init_lora_weights=False)
    return inject_adapter_in_model(config, nn.Sequential(nn.Linear(6, 6))).requires_grad_()


class Outside(nn.Module):
    """Uses a layer's weight both by calling the layer and past it."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 6, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(self.inner(x), self.inner.weight)


class Turned(nn.Module):
    """Runs a layer on another shape than [n, T, 6]."""

    def __init__(self, layer: nn.Module, there: Any, back: Any) -> None:
        super().__init__()
        self.layer, self.there, self.back = layer, there, back

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.back(self.layer(self.there(x)), x)
        return out


class Added(nn.Module):
    """Adds to a layer's output in place, as RoCBert does."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.inner(x)
        out += x
        return out


class QuantisedNorm(nn.LayerNorm):
    """Gives its scale along, as I-BERT's does."""

    def forward(self, x: Tensor) -> Any:
        return super().forward(x), 1.0


class Unpacked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = QuantisedNorm(6)

    def forward(self, x: Tensor) -> Tensor:
        out, scale = self.inner(x)
        return out * scale


ODD: dict[str, tuple[Callable[[], nn.Module], bool]] = {  # layer, does it need the slow way
    "no rule": (Scale, True),
    "weight used outside": (Outside, True),
    "output changed in place": (Added, True),
    "output and more": (Unpacked, True),
    "flattened": (
        lambda: Turned(nn.Linear(6, 6), lambda x: x.flatten(0, 1), lambda y, x: y.view_as(x)),
        False,
    ),
    "flattened, sequence first": (
        lambda: Turned(
            nn.Linear(6, 6),
            lambda x: x.transpose(0, 1).flatten(0, 1),
            lambda y, x: y.view(-1, len(x), 6).transpose(0, 1),
        ),
        True,
    ),
    "sequence first": (
        lambda: Turned(
            nn.Linear(6, 6), lambda x: x.transpose(0, 1), lambda y, x: y.transpose(0, 1)
        ),
        True,
    ),
    "n rows by accident": (
        lambda: Turned(
            nn.Linear(6, 6),  # n token rows, but not one of each example
            lambda x: x.flatten(0, 1)[: len(x)],
            lambda y, x: torch.cat([y, x.flatten(0, 1)[len(x) :]]).view_as(x),
        ),
        True,
    ),
    "group norm": (
        lambda: Turned(nn.GroupNorm(2, 6), lambda x: x.mT, lambda y, x: y.mT),
        True,
    ),
    "lora": (lora, False),
    "two calls": (lambda: nn.Sequential(*[nn.Linear(6, 6)] * 2), False),
    "one plus weight": (lambda: GemmaRMSNorm(6), False),
    "one token": (
        lambda: Turned(nn.Linear(6, 6), lambda x: x[:, 0], lambda y, x: y[:, None]),
        False,
    ),
}


@pytest.mark.parametrize("size", [4, LENGTH, 1], ids="n={}".format)
@pytest.mark.parametrize("name", ODD)
def test_odd_layers_are_right_and_slow_ones_are_named_once(
    name: str, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    torch.manual_seed(4)
    build, slow = ODD[name]
    model = Toy(build())
    for parameter in model.layer.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    batches = make_batches((size, size))
    found = fisher_diagonal(model, batches, toy_losses)
    double = copy.deepcopy(model).double()
    names, parameters = zip(*double.named_parameters(), strict=True)
    each = [
        torch.autograd.grad(loss, parameters, retain_graph=True, materialize_grads=True)
        for batch in batches
        for loss in toy_losses(double, batch)
    ]
    squares = [torch.stack(own).square().mean(0) for own in zip(*each, strict=True)]
    assert error(found, dict(zip(names, squares, strict=True))) < TOLERANCE
    if size > 1:
        assert len(caplog.records) == slow
        assert not slow or "layer." in caplog.text


def test_a_caller_without_gradients_gets_the_same() -> None:
    model, batches = Toy(Scale()), make_batches()
    found = fisher_diagonal(model, batches, toy_losses)
    with torch.no_grad():
        again = fisher_diagonal(model, batches, toy_losses)
    assert all(torch.equal(found[name], again[name]) for name in found)


def test_what_was_asked_wrongly_is_said() -> None:
    model = nn.Linear(2, 2)
    batch = torch.ones(3, 2)
    with pytest.raises(ValueError, match="wight"):
        fisher_diagonal(model, [batch], lambda m, b: m(b).sum(1), ["wight"])
    with pytest.raises(ValueError, match=r"no parameters"):
        fisher_diagonal(model, [batch], lambda m, b: m(b).sum(1), [])
    with pytest.raises(ValueError, match=r"\[n\], not \[\]"):
        fisher_diagonal(model, [batch], lambda m, b: m(b).sum())
    with pytest.raises(ValueError, match="at least one example"):
        fisher_diagonal(model, [], lambda m, b: m(b).sum(1))


def test_an_input_changed_in_place_is_an_error() -> None:
    model = nn.Linear(2, 2)

    def losses(model: nn.Module, x: Tensor) -> Tensor:
        out: Tensor = model(x).sum(1)
        x.zero_()
        return out

    with pytest.raises(RuntimeError, match="changed in place"):
        fisher_diagonal(model, [torch.ones(3, 2)], losses)


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_left_as_it_was(fails: bool) -> None:
    model = Toy(Scale()).train()
    model.layer.eval()
    model.head.weight.requires_grad_(False)
    model.head.bias.grad = torch.ones(2)
    modes = [module.training for module in model.modules()]
    flags = [p.requires_grad for p in model.parameters()]

    def losses(model: nn.Module, batch: Batch) -> Tensor:
        assert not any(module.training for module in model.modules())
        values = toy_losses(model, batch)
        if fails:
            raise KeyError("a mistake in the caller's loss")
        return values

    with pytest.raises(KeyError) if fails else nullcontext():
        fisher_diagonal(model, make_batches(), losses)
    assert [module.training for module in model.modules()] == modes
    assert [p.requires_grad for p in model.parameters()] == flags
    assert model.head.bias.grad.tolist() == [1, 1]
    assert all(p.grad is None for p in model.parameters() if p is not model.head.bias)
    hooks = [(m._forward_hooks, m._forward_pre_hooks) for m in model.modules()]
    assert not any(after or before for after, before in hooks)
