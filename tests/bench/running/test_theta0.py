"""θ0 on disk and a network that is lent: less memory, and the same to the last bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench.planning.plugins import load_builtin
from bench.running.single import run_cell
from bench.selfcheck.world import World, only_cell, stage_for, trained, weights, workspace_for
from bench.training.loop import train

load_builtin()


@pytest.mark.parametrize(
    ("method", "kind"),
    [("recadam", "causal"), ("ewc", "causal"), ("l2sp", "encoder"), ("mixout", "causal")],
)
def test_theta0_on_disk_changes_no_bit(
    method: str, kind: str, world: World, tmp_path: Path
) -> None:
    plan = world.plan(method, kind, "train.steps=3")
    found = []
    for on_disk in (False, True):
        workspace = replace(workspace_for(plan, tmp_path / str(on_disk)), on_disk=on_disk)
        result, *answers = run_cell(only_cell(plan), workspace, False)
        found.append((result["drift"], result["curve"], result["scores"], answers))
    assert found[0] == found[1]
    files = (tmp_path / "True" / "cache").glob("theta0-*.safetensors")
    assert len(list(files)) == 1
    assert not list((tmp_path / "False" / "cache").glob("theta0-*"))


@pytest.mark.parametrize("kind", ["causal", "encoder"])
def test_a_network_is_lent_and_comes_back_as_it_was(
    kind: str, world: World, tmp_path: Path
) -> None:
    """What plain fine-tuning ends with, beside a network of its own that did it."""
    stage = stage_for(world.plan("finetune", kind), tmp_path / "lent")
    before = weights(stage)
    star = stage.run.finetuned(None)
    apart = weights(trained(world.plan("finetune", kind), tmp_path / "apart"))
    assert all(torch.equal(star[name], value) for name, value in apart.items())
    assert all(torch.equal(value, before[name]) for name, value in weights(stage).items())
    assert all(p.grad is None for p in stage.run.net.parameters())
    train(stage.run, stage.method, None)
    assert all(torch.equal(value, apart[name]) for name, value in weights(stage).items())


def test_what_is_held_for_a_while_is_given_back(world: World, tmp_path: Path) -> None:
    stage = stage_for(world.plan("finetune", "encoder"), tmp_path)
    loaded, other = stage.loaded, {n: torch.ones_like(x) for n, x in stage.loaded.base.items()}
    name, moved = loaded.pretrained()[0]
    moved.data += 1  # it is no θ0 any more
    before = weights(stage)
    with loaded.holding(other):
        assert all(bool((p == 1).all()) for _, p in loaded.pretrained())
        next(p for n, p in loaded.net.named_parameters() if n not in loaded.base).data.zero_()
    assert all(torch.equal(value, before[n]) for n, value in weights(stage).items())
    assert not torch.equal(before[name], loaded.base[name])
