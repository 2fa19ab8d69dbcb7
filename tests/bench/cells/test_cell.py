"""A cell is data: it travels, and its hash sees what its result depends on and nothing else."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from bench.cells.cell import Besides, Cell, TaskSequence, from_json, to_json
from bench.cells.measured import asked
from bench.core import version
from bench.planning.plugins import load_plugin
from bench.rows.task import TASKS
from bench.selfcheck.world import World, only_cell, plan_for
from bench.training.method import METHODS
from bench.training.stack import build

PLUGIN = """
from dataclasses import dataclass
from bench import Card, Method, register_method, setting

@dataclass(frozen=True)
class Config:
    strength: float = setting(0.5, "of it", low=0.0)

@register_method("mine")
class Mine(Method):
    card = Card("t", "p", "e", "d", "none")
    Config = Config
    roles = frozenset({"pull"})
"""


@pytest.mark.usefixtures("registry_of_this_test")
@pytest.mark.parametrize("method", ["mine", "lwf:ahead", "ewc+mine"])
def test_a_cell_travels(tmp_path: Path, method: str) -> None:
    """Through pickle and JSON, a plug-in's too, with fifteen tasks to forget, in under 4 kB."""
    (tmp_path / "mine.py").write_text(PLUGIN)
    load_plugin(tmp_path / "mine.py")
    settings = ["mine.strength=0.25"] if "mine" in method else []
    plan = plan_for([method], ["cola", "cola>rte"], "micro", "micro", *settings)
    strange = replace(
        plan.spec.models[0], head=("no", "yes"), weights=Path("w.safetensors"), twin=None
    )
    one = next(cell for cell in plan.spec.cells() if isinstance(cell, Cell))
    besides = Besides(("arc_easy",), (one.task, replace(one.task, name="rte")), 5)
    other = replace(one, model=strange, besides=besides)
    for cell in (*plan.spec.cells(), other):
        text = json.dumps(to_json(cell))
        for again in (pickle.loads(pickle.dumps(cell)), from_json(json.loads(text))):
            assert again == cell and again.hash == cell.hash and again.labels == cell.labels
        if isinstance(cell, Cell):
            assert max(len(pickle.dumps(cell)), len(text)) < 4000
            assert build(cell.method).spec == cell.method
        else:
            assert isinstance(again, TaskSequence)


@pytest.fixture(scope="module")
def cell(world: World) -> Cell:
    return only_cell(world.plan("finetune", "causal"))


@pytest.mark.parametrize(
    ("method", "task", "again"),
    [("finetune", "cola", True), ("finetune", "rte", False), ("lwf", "rte", True)],
)
def test_a_task_of_a_later_version_reruns_what_learns_it_and_what_forgets_it(
    world: World, monkeypatch: pytest.MonkeyPatch, method: str, task: str, again: bool
) -> None:
    before = only_cell(world.plan(method, "causal"))
    assert only_cell(world.plan(method, "causal")).hash == before.hash
    monkeypatch.setitem(TASKS._items, task, replace(TASKS.get(task), version=2))
    assert (only_cell(world.plan(method, "causal")).hash != before.hash) is again


@pytest.mark.parametrize(
    ("method", "words", "weights", "parts"),
    [
        ("finetune", ["train.lr=1e-3"], True, []),
        ("finetune", ["train.max_eval=5"], False, ["scores"]),
        ("finetune", ["train.forget_rows=5"], False, ["forgotten"]),
        ("finetune", ["train.retention_tokens=128"], False, ["retention"]),
        ("finetune", ["train.steps=5"], True, []),
        ("lwf", ["lwf.interval=7"], True, []),
    ],
)
def test_what_is_only_measured_leaves_the_cell_its_name(
    world: World, method: str, words: list[str], weights: bool, parts: list[str]
) -> None:
    one = only_cell(world.plan(method, "causal"))
    other = only_cell(world.plan(method, "causal", *words))
    assert (one.hash != other.hash) is weights
    assert [part for part, on in asked(other).items() if asked(one)[part] != on] == parts


@pytest.mark.usefixtures("registry_of_this_test")
def test_a_later_version_of_a_method_runs_its_cells_again_and_no_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("finetune", "lwf", "ewc", "ewc+lwf")
    before = {name: only_cell(world.plan(name, "causal")) for name in names}
    monkeypatch.setattr(METHODS.get("lwf"), "version", 2)
    after = {name: only_cell(world.plan(name, "causal")) for name in names}
    changed = {name for name in names if before[name].hash != after[name].hash}
    assert changed == {"lwf", "ewc+lwf"}
    assert after["ewc+lwf"].identity()["versions"] == {"lwf": 2}
    assert "versions" not in before["lwf"].identity()


def test_a_release_by_itself_runs_no_cell_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = only_cell(world.plan("finetune", "causal")).hash
    monkeypatch.setattr(version, "SUITE_VERSION", "99.0.0")
    assert only_cell(world.plan("finetune", "causal")).hash == before


@pytest.mark.parametrize(
    ("method", "words", "weights"),
    [
        ("finetune", [], False),
        ("ewc", ["ewc.fisher=sampled"], False),
        ("ewc", ["ewc.fisher=retention"], True),
    ],
)
def test_a_text_is_in_the_name_of_the_cell_where_the_method_reads_it(
    world: World, tmp_path: Path, method: str, words: list[str], weights: bool
) -> None:
    text = tmp_path / "other.txt"
    text.write_text("the king saw a cat. " * 200)
    model, data = world.models["causal"], world.data
    one = only_cell(world.plan(method, "causal", *words))
    other = only_cell(plan_for([method], ["cola"], model, data, *words, retention=str(text)))
    assert (one.hash != other.hash) is weights
    assert asked(one)["retention"] != asked(other)["retention"]


def test_a_cell_is_known_by_what_its_result_depends_on(cell: Cell) -> None:
    elsewhere = replace(
        cell,
        model=replace(cell.model, name="other", source="/elsewhere"),
        data=replace(cell.data, source="/elsewhere"),
        task=replace(cell.task, note="said"),
    )
    assert elsewhere.hash == cell.hash
    assert replace(cell, seed=1).hash != cell.hash
    assert replace(cell, method=replace(cell.method, settings={"a": 1})).hash != cell.hash
