"""Forgetting confidence against a loop in float64."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from bench.gradients.fisher import fisher_diagonal, forgetting_confidence
from tests.helpers.single_examples import FAMILIES, make, make_batches, single_gradients

ZERO = torch.zeros((), dtype=torch.float64)


@pytest.mark.parametrize("name", FAMILIES)
def test_confidence_equals_a_loop(name: str) -> None:
    model, losses = make(name)
    batches = make_batches()
    fisher = fisher_diagonal(model, batches, losses)
    star = {k: p.detach() + 0.01 * torch.randn_like(p) for k, p in model.named_parameters()}
    alpha = 0.01
    found = forgetting_confidence(model, batches, losses, fisher, star, alpha)
    start = {k: p.detach().double() for k, p in model.named_parameters()}
    d = {k: start[k] - star[k].double() for k in fisher}

    def distance(move: dict[str, Tensor]) -> Tensor:
        return sum((0.5 * (fisher[k] * (d[k] - alpha * move[k]) ** 2).sum() for k in fisher), ZERO)

    nowhere = distance({k: torch.zeros_like(x) for k, x in d.items()})
    gradients = list(single_gradients(model, batches, losses))
    expected = torch.stack([distance(g) for g in gradients])
    assert found.constant == pytest.approx(float(nowhere), rel=1e-6)
    assert found.value.dtype == torch.float64
    assert torch.allclose(found.value, expected, rtol=1e-6, atol=0)
    assert torch.allclose(found.change, expected - nowhere, rtol=1e-5, atol=0)
    assert found.value.argsort().tolist() == expected.argsort().tolist()
    assert found.score.argsort().tolist() == expected.argsort().tolist()
    slope = torch.stack(
        [-sum(((fisher[k] * d[k] * g[k]).sum() for k in fisher), ZERO) for g in gradients]
    )
    limit = dataclasses.replace(found, alpha=0.0).score
    assert torch.allclose(limit, slope, rtol=1e-5, atol=1e-6 * float(slope.abs().max()))
    assert limit.argsort().tolist() == slope.argsort().tolist()


def test_confidence_with_no_step_is_its_constant() -> None:
    model, losses = make("qwen2")
    fisher = {k: torch.rand_like(p) for k, p in model.named_parameters()}
    star = {k: p.detach() + 1 for k, p in model.named_parameters()}
    found = forgetting_confidence(model, make_batches(), losses, fisher, star, 0.0)
    half = sum(0.5 * float(x.double().sum()) for x in fisher.values())
    assert found.value.tolist() == [found.constant] * 7
    assert found.constant == pytest.approx(half, rel=1e-5)


def test_confidence_sums_over_the_parameters_of_the_fisher_only() -> None:
    model, losses = make("bert")
    name = "bert.encoder.layer.0.output.dense.weight"
    start = dict(model.named_parameters())[name].detach()
    fisher, star = {name: torch.ones_like(start)}, {name: start.clone()}
    found = forgetting_confidence(model, make_batches(), losses, fisher, star, 0.1)
    squares = [(g[name] ** 2).sum() for g in single_gradients(model, make_batches(), losses)]
    assert found.constant == 0
    assert torch.allclose(found.value, 0.005 * torch.stack(squares), rtol=1e-5)
    with pytest.raises(ValueError, match=f"theta_star lacks.*{name}"):
        forgetting_confidence(model, make_batches(), losses, fisher, {}, 0.1)
