"""Child-Tuning: F's draws, D's child against a loop over the rows, and who moves."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from bench.running.session import CellSession
from bench.selfcheck.world import plan_for, stage_for, trained, weights
from methods.child_tuning import ChildTuning

P = 0.25


def cell(model: Path, data: Path, folder: Path, *settings: str) -> tuple[CellSession, ChildTuning]:
    """A cell before its training, with every gradient 1."""
    words = f"child_tuning.p={P}", *settings
    stage = stage_for(plan_for(["child_tuning"], ["cola"], model, data, *words), folder)
    method = stage.method
    assert isinstance(method, ChildTuning)
    return stage, method


def masked(stage: CellSession, method: ChildTuning, step: int) -> dict[str, Tensor]:
    """What gradients of 1 become at a step."""
    stage.run.step = step
    for parameter in stage.run.net.parameters():
        parameter.grad = torch.ones_like(parameter)
    method.after_backward(stage.run)
    return {n: p.grad for n, p in stage.run.net.named_parameters() if p.grad is not None}


def test_f_draws_a_child_for_every_step(
    tiny_encoder: Path, tiny_data: Path, tmp_path: Path
) -> None:
    stage, method = cell(tiny_encoder, tiny_data, tmp_path)
    method.prepare(stage.run)
    first, again, other = (masked(stage, method, step) for step in (0, 0, 1))
    base = stage.loaded.base.keys()
    drawn = torch.cat([first[name].flatten() for name in base])
    assert drawn.unique().tolist() == pytest.approx([0, 1 / P])
    assert float((drawn > 0).float().mean()) == pytest.approx(P, abs=0.01)
    assert all(torch.equal(again[name], x) for name, x in first.items())
    assert not torch.equal(drawn, torch.cat([other[name].flatten() for name in base]))
    assert all(bool((x == 1).all()) for name, x in first.items() if name not in base)
    assert "classifier.weight" in first.keys() - base


def test_a_parameter_without_a_gradient_gets_none(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    stage, method = cell(tiny_causal, tiny_data, tmp_path)
    method.after_backward(stage.run)
    assert all(p.grad is None for p in stage.run.net.parameters())


def loop_fisher(stage: CellSession) -> dict[str, Tensor]:
    """The mean of squared gradients, one row of the task after the other, in float64."""
    run = stage.run
    run.net.double().eval()
    parameters = dict(stage.loaded.pretrained())
    total = {name: torch.zeros_like(p) for name, p in parameters.items()}
    for i in range(len(run.train_rows)):
        (batch,) = run.batches([i], 1)
        (loss,) = run.example_losses(run.net, batch)
        for name, g in zip(
            parameters, torch.autograd.grad(loss, list(parameters.values())), strict=True
        ):
            total[name] += g.square()
    run.net.float().train()
    return total


@pytest.mark.parametrize("kind", ["causal", "encoder"])
def test_d_chooses_the_largest_fisher_information_of_the_task(
    kind: str, tiny_causal: Path, tiny_encoder: Path, tiny_data: Path, tmp_path: Path
) -> None:
    model = {"causal": tiny_causal, "encoder": tiny_encoder}[kind]
    stage, method = cell(model, tiny_data, tmp_path, "child_tuning.mode=D")
    method.prepare(stage.run)
    assert method.child.keys() == stage.loaded.base.keys()
    fisher = loop_fisher(stage)
    values = torch.cat([fisher[name].flatten() for name in fisher])
    chosen = torch.cat([method.child[name].flatten() for name in fisher])
    assert int(chosen.sum()) == round(P * len(chosen))
    assert values[chosen].min() >= 0.999 * values[~chosen].max() > 0
    found = masked(stage, method, 0)
    for name, child in method.child.items():
        assert torch.equal(found[name], child.float()), "kept as they are, not rescaled"
    assert all(bool((x == 1).all()) for name, x in found.items() if name not in fisher)


def test_only_ds_child_moves(tiny_encoder: Path, tiny_data: Path, tmp_path: Path) -> None:
    words = "child_tuning.mode=D", f"child_tuning.p={P}", "train.weight_decay=0"
    plan = plan_for(["child_tuning"], ["cola"], tiny_encoder, tiny_data, *words)
    stage = trained(plan, tmp_path)
    method = stage.method
    assert isinstance(method, ChildTuning)
    after = weights(stage)
    for name, child in method.child.items():
        still = after[name] == stage.loaded.base[name]
        assert bool(still[~child].all()), name
    moved = sum(int((after[n] != stage.loaded.base[n]).sum()) for n in method.child)
    assert moved > 0.9 * sum(int(child.sum()) for child in method.child.values())


def test_fewer_rows_than_there_are(tiny_causal: Path, tiny_data: Path, tmp_path: Path) -> None:
    few = "child_tuning.mode=D", "child_tuning.fisher_rows=4"
    children = []
    for settings in (few, few[:1]):
        stage, method = cell(tiny_causal, tiny_data, tmp_path, *settings)
        method.prepare(stage.run)
        children.append(torch.cat([x.flatten() for x in method.child.values()]))
    assert 0.5 < float((children[0] & children[1]).sum() / children[1].sum()) < 1
