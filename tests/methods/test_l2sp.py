"""L2-SP: its gradient against autograd of the penalty, and what its two weights do."""

from __future__ import annotations

from pathlib import Path

import torch

from bench.running.session import CellSession
from bench.scoring.evaluation import drift
from bench.selfcheck.world import plan_for, stage_for, trained


def shaken(model: Path, data: Path, folder: Path, *settings: str) -> CellSession:
    """A cell whose weights lie off θ0, with gradients in place."""
    stage = stage_for(plan_for(["l2sp"], ["cola"], model, data, *settings), folder)
    torch.manual_seed(5)
    for parameter in stage.run.net.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
        parameter.grad = torch.randn_like(parameter)
    return stage


def test_the_gradient_is_that_of_the_penalty(
    tiny_encoder: Path, tiny_data: Path, tmp_path: Path
) -> None:
    settings = "l2sp.alpha=3", "l2sp.beta=0.5"
    stage = shaken(tiny_encoder, tiny_data, tmp_path, *settings)
    named = dict(stage.run.net.named_parameters())
    base = {name: x.double() for name, x in stage.loaded.base.items()}
    task = {name: p.grad.double() for name, p in named.items() if p.grad is not None}
    moved = {name: p.detach().double().requires_grad_() for name, p in named.items()}
    head = named.keys() - base.keys()
    assert "classifier.weight" in head
    assert "bert.encoder.layer.0.output.dense.weight" in base
    penalty = 3 / 2 * sum((moved[n] - base[n]).square().sum() for n in base)
    penalty += 0.5 / 2 * sum(moved[n].square().sum() for n in head)
    added = torch.autograd.grad(penalty, moved.values())
    stage.method.after_backward(stage.run)
    for (name, p), expected in zip(named.items(), added, strict=True):
        assert p.grad is not None
        torch.testing.assert_close(p.grad.double() - task[name], expected, rtol=1e-4, atol=1e-6)


def test_a_parameter_without_a_gradient_gets_none(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    stage = shaken(tiny_causal, tiny_data, tmp_path)
    first = next(stage.run.net.parameters())
    first.grad = None
    stage.method.after_backward(stage.run)
    assert first.grad is None


def test_the_stronger_the_closer_to_the_base(
    tiny_encoder: Path, tiny_data: Path, tmp_path: Path
) -> None:
    def ends(alpha: str, beta: str) -> tuple[float, float]:
        """Squared distance from θ0, and the head's squared norm."""
        settings = "train.steps=40", "train.lr=1e-3", f"l2sp.alpha={alpha}", f"l2sp.beta={beta}"
        plan = plan_for(["l2sp"], ["cola"], tiny_encoder, tiny_data, *settings)
        stage = trained(plan, tmp_path)
        return drift(stage.loaded), float(stage.run.net.classifier.weight.detach().square().sum())

    free, pulled, decayed = ends("0", "0"), ends("1", "0"), ends("0", "10")
    assert pulled[0] < 0.5 * free[0]
    assert decayed[0] > 0.5 * free[0]
    assert decayed[1] < 0.9 * free[1]
