"""θ0 on disk, a network that is lent or left: less memory or time, and the same to the last bit."""

from __future__ import annotations

import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf

from bench.cells.cell import Cell
from bench.cells.store import Store
from bench.core.errors import TimeUpError
from bench.network import loading
from bench.planning.plugins import load_builtin
from bench.running.estimates import Estimates
from bench.running.executor import CellRunner
from bench.running.progress import Display
from bench.running.single import run_cell
from bench.selfcheck.world import (
    World,
    cells_of,
    only_cell,
    plan_for,
    stage_for,
    trained,
    weights,
    workspace_for,
)
from bench.training.loop import train
from methods.lora.method import LoRA

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


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models that were read from their files, but for those that score an encoder's text."""
    found: list[str] = []
    original = loading._from_pretrained

    def noted(factory: Any, info: Any, options: Any) -> Any:
        if "MaskedLM" not in factory.__name__:
            found.append(info.name)
        return original(factory, info, options)

    monkeypatch.setattr(loading, "_from_pretrained", noted)
    return found


@pytest.mark.parametrize(("kind", "held"), [("causal", "bfloat16"), ("encoder", "float32")])
def test_cells_of_lora_share_a_network(
    kind: str,
    held: str,
    world: World,
    tmp_path: Path,
    loads: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of other ranks and seeds, also behind one that failed, one that was stopped and another
    method's: each is, bit for bit, the cell that has loaded it itself."""
    plan = world.plan("lora", kind, f"train.weights={held}", seeds=5)
    words = f"train.weights={held}", "lora.r=7", "lora.dropout=0.2"
    wide = only_cell(world.plan("lora", kind, *words, path=2))
    other = only_cell(world.plan("finetune", kind, f"train.weights={held}"))
    together, alone = (workspace_for(plan, tmp_path / name) for name in ("together", "alone"))
    read = []  # how often each cell reads a model

    def ran(cell: Cell) -> Any:
        before = len(loads)
        try:
            return run_cell(cell, together, False)
        finally:
            read.append(len(loads) - before)

    def is_as_alone(cell: Cell) -> None:
        (result, *answers), (own, *its) = ran(cell), run_cell(cell, alone, False)
        alone.left = None
        for part in ("drift", "curve", "scores", "retention", "path"):
            assert result[part] == own[part], part
        assert answers == its and own["drift"] > 0

    def fails(*given: object) -> None:
        raise ValueError("in the midst of it")

    def out_of_time(what: str, done: int, of: int, loss: float | None) -> None:
        if what.startswith("train") and done == 2:
            raise TimeUpError

    one, two, three, four, five = cells_of(plan)
    is_as_alone(one)
    is_as_alone(two)
    is_as_alone(wide)
    with monkeypatch.context() as patch, pytest.raises(ValueError, match="in the midst"):
        patch.setattr(LoRA, "after_step", fails)
        ran(three)
    is_as_alone(three)
    together.progress, quiet = out_of_time, together.progress
    with pytest.raises(TimeUpError):
        ran(four)
    together.progress = quiet
    is_as_alone(four)
    is_as_alone(other)
    is_as_alone(five)
    assert read == [1, 0, 0, 0, 1, 0, 1, 1, 1]


def test_a_head_is_drawn_as_it_is_loaded(world: World, tmp_path: Path) -> None:
    """In place of the head of another task as well, of so many outputs or of others."""
    info = only_cell(world.plan("lora", "encoder")).model
    hf.BertForSequenceClassification.from_pretrained(info.source, num_labels=3).save_pretrained(
        tmp_path
    )
    for source in (info.source, str(tmp_path)):
        for labels in (2, 3):
            its = replace(info, source=source)
            left, fresh = (loading.load(its, labels, seed, copied=False) for seed in (1, 2))
            left.put_back()
            left.draw_head(2)
            pairs = zip(left.net.named_parameters(), fresh.net.named_parameters(), strict=True)
            assert all(torch.equal(a, b) for (_, a), (_, b) in pairs)


def test_a_network_is_left_to_the_next_cell_and_to_no_later_one(
    world: World, tmp_path: Path, loads: list[str]
) -> None:
    """A worker is given one cell after the other."""
    plan = plan_for(["lora", "l2sp"], ["cola"], world.models["causal"], world.data, seeds=2)
    *cells, other, _ = sorted(cells_of(plan), key=lambda cell: cell.method.name, reverse=True)
    store = Store(tmp_path)
    audience = Display(cells, Estimates.of_plan(plan, []), quiet=True)
    runner = CellRunner(plan, cells, store, tmp_path, audience)
    for cell in cells:
        runner.run([cell])
    assert [cell.method.name for cell in (*cells, other)] == ["lora", "lora", "l2sp"]
    assert len(loads) == 1 and runner.workspace.left is not None
    held = weakref.ref(runner.workspace.left[1].net)
    runner.run([other])
    assert held() is None and runner.workspace.left is None
    assert [result["status"] for result in store.all()] == ["done"] * 3
