"""A learning rate of a method's own, beside the run's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench.cells.cell import from_json, to_json
from bench.core.errors import BenchError
from bench.planning.method_names import registered
from bench.selfcheck.world import World, cells_of, only_cell, plan_for, trained, weights
from bench.training.stack import build
from methods.l2sp import L2SP


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("finetune", "finetune"),
        ("recadam", "recadam"),
        ("lora", "lora"),
        ("llrd", "llrd"),
        ("mixout", "mixout"),
        ("l2sp+bss", "l2sp"),
    ],
)
def test_it_is_the_run_s_in_its_place(world: World, tmp_path: Path, name: str, owner: str) -> None:
    """Bit for bit, and without a change of the recipe that all share."""
    own = trained(world.plan(name, "encoder", f"{owner}.lr=2e-3"), tmp_path)
    shared = trained(world.plan(name, "encoder", "train.lr=2e-3"), tmp_path)
    plain = trained(world.plan(name, "encoder"), tmp_path)
    assert own.cell.training == plain.cell.training and own.cell.hash != plain.cell.hash
    first, second, third = map(weights, (own, shared, plain))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not all(torch.equal(first[key], third[key]) for key in first)


def test_a_cell_takes_it_along(world: World) -> None:
    for name, owner in (("l2sp", "l2sp"), ("l2sp+bss", "bss")):
        cell = only_cell(world.plan(name, "encoder", f"{owner}.lr=3e-4"))
        assert cell.recipe.lr == 3e-4 != cell.training.lr
        assert build(cell.method).spec == cell.method and "lr=0.0003" in cell.label
        assert from_json(to_json(cell)) == cell
    made = L2SP()
    assert "lr" not in made.settings  # what was run before there was one keeps its hash
    made.common = type(made.common)(lr=0.5)
    assert registered(made).lr == 0.5


def test_what_does_not_fit_is_refused_at_its_own_rate(world: World) -> None:
    words = ("recadam.gamma=100", "recadam.lr=1e-4,0.5")
    plan = plan_for(["recadam"], ["cola"], world.models["encoder"], world.data, *words)
    assert [cell.recipe.lr for cell in cells_of(plan)] == [1e-4]
    (reason,) = plan.spec.refused.values()
    assert "learning rate 0.5 x gamma 100" in reason


def test_a_stack_has_one(world: World) -> None:
    with pytest.raises(BenchError, match=r"one learning rate, and here are bss\.lr 0\.1 and l2sp"):
        world.plan("l2sp+bss", "encoder", "l2sp.lr=0.2", "bss.lr=0.1")
