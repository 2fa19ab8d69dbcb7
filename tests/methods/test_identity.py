"""What every method must pass, whatever it does; a new one gets these tests for free."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.errors import BenchError
from bench.evaluation import drift
from bench.plan import Plan
from bench.registry import METHODS, load_builtin
from bench.runner import Stage, run_cell
from bench.settings import allowed, parse
from bench.training import train
from tests.worlds import plan_for, stage_for, trained, weights, workspace_for

load_builtin()
ENCODER = {"ewc": ["ewc.fisher=retention"]}  # what a method needs said where nothing generates
STEPS_PER_EPOCH = 5  # 40 training rows, 8 at a time


def encodes(name: str) -> bool:
    """Whether a method can run on an encoder."""
    cls = METHODS.get(name)
    given = dict(word.partition(".")[2].split("=") for word in ENCODER.get(name, ()))
    return "generation" not in cls(parse(cls.Config, given, name)).needs


KINDS = [(name, "causal") for name in METHODS.names()]
KINDS += [(name, "encoder") for name in METHODS.names() if encodes(name)]


def assigned(name: str, end: str) -> list[str]:
    """The words of --set for a method's settings `off` or `holds`."""
    return [f"{name}.{field}={value}" for field, value in getattr(METHODS.get(name), end).items()]


def with_end(end: str) -> pytest.MarkDecorator:
    """The methods, on each kind of model, that say what `off` or `holds` is."""
    kinds = [(name, kind) for name, kind in KINDS if getattr(METHODS.get(name), end) is not None]
    return pytest.mark.parametrize(("name", "kind"), kinds)


every_kind = pytest.mark.parametrize(("name", "kind"), KINDS)
every_method = pytest.mark.parametrize("name", METHODS.names())


@dataclasses.dataclass
class World:
    """The tiny models, and the plan of one cell on either."""

    models: dict[str, Path]
    data: Path
    text: Path

    def plan(self, name: str, kind: str, *settings: str) -> Plan:
        words = [*(ENCODER.get(name, ()) if kind == "encoder" else ()), *settings]
        where = self.models[kind], self.data
        return plan_for([name], ["cola"], *where, *words, retention=str(self.text))


@pytest.fixture(scope="session")
def world(tiny_causal: Path, tiny_encoder: Path, tiny_data: Path, tiny_text: Path) -> World:
    return World({"causal": tiny_causal, "encoder": tiny_encoder}, tiny_data, tiny_text)


def same(first: Any, second: Any) -> bool:
    """Equal bit for bit, through lists and dictionaries."""
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
    if isinstance(first, list | tuple):
        pairs = zip(first, second, strict=True)
        return len(first) == len(second) and all(same(a, b) for a, b in pairs)
    return bool(first == second)


@every_kind
def test_without_a_step_nothing_changes(name: str, kind: str, world: World, tmp_path: Path) -> None:
    plan = world.plan(name, kind, "train.steps=0")
    (cell,) = plan.spec.cells()
    result, predictions = run_cell(cell, workspace_for(plan, tmp_path), share_weights=False)
    assert result["status"] == "done"
    assert result["drift"] == 0
    scores, retention, forgotten = result["scores"], result["retention"], result["forgotten"]
    assert scores is not None
    assert scores["before"] == scores["after"]
    assert result["flips"] == {"lost": 0, "gained": 0}
    assert predictions["before"] == predictions["after"]
    assert retention is not None
    assert retention["before"] == retention["after"]
    if forgotten is not None:
        assert forgotten["loss_before"] == forgotten["loss_after"]
        assert forgotten["accuracy_before"] == forgotten["accuracy_after"]
    assert (forgotten is None) == (kind == "encoder")


@every_kind
def test_without_a_step_every_weight_is_the_base(
    name: str, kind: str, world: World, tmp_path: Path
) -> None:
    untouched = weights(stage_for(world.plan(name, kind), tmp_path))
    stage = trained(world.plan(name, kind, "train.steps=0"), tmp_path)
    assert same(weights(stage), untouched)
    moved = trained(world.plan(name, kind), tmp_path)
    after = weights(moved)
    assert all(not same(after[k], untouched[k]) for k in optimised(moved) if after[k].ndim > 1)


def optimised(stage: Stage) -> set[str]:
    """The names of the weights that the optimizer moves."""
    return {name for group in stage.run.optimizer.param_groups for name in group["names"]}


@with_end("off")
def test_strength_zero_is_plain_fine_tuning_bit_for_bit(
    name: str, kind: str, world: World, tmp_path: Path
) -> None:
    plain = trained(world.plan("finetune", kind), tmp_path)
    off = trained(world.plan(name, kind, *assigned(name, "off")), tmp_path)
    assert same(weights(off), weights(plain))
    assert not same(weights(trained(world.plan(name, kind), tmp_path)), weights(plain))


@with_end("holds")
def test_huge_strength_stays_at_the_base(
    name: str, kind: str, world: World, tmp_path: Path
) -> None:
    """Adam takes steps of one size whatever the gradient, so the way back takes a few of them."""
    settings: tuple[str, ...] = ("train.steps=40", "train.warmup=0")
    free = drift(trained(world.plan("finetune", kind, *settings), tmp_path).loaded)
    settings = *settings, *assigned(name, "holds")
    held = drift(trained(world.plan(name, kind, *settings), tmp_path).loaded)
    assert held < 0.1 * free


def optimizer_state(stage: Stage) -> Any:
    return stage.run.optimizer.optimizer.state_dict()


@every_kind
@pytest.mark.parametrize(("stop", "steps"), [(3, 6), (7, 14)])
def test_stopped_and_resumed_is_uninterrupted(
    name: str,
    kind: str,
    stop: int,
    steps: int,
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In the first epoch and in the second, whose order is another, and between two points."""
    monkeypatch.setattr("bench.training.CURVE_POINTS", 4)
    assert stop < STEPS_PER_EPOCH or stop % STEPS_PER_EPOCH
    plan = world.plan(name, kind, f"train.steps={steps}")
    whole = stage_for(plan, tmp_path / "whole")
    expected = train(whole.run, whole.cell.method, None)

    folder = tmp_path / "checkpoint"
    first = stage_for(plan, tmp_path / "parts")
    train(first.run, first.cell.method, folder, stop_at=stop)
    assert first.run.step == stop
    second = stage_for(fresh(plan), tmp_path / "parts")
    record = train(second.run, second.cell.method, folder)
    assert second.run.step == steps
    assert record["resumes"] == 1
    assert same(weights(second), weights(whole))
    assert not same(weights(second), weights(first))
    assert same(optimizer_state(second), optimizer_state(whole))
    assert record["curve"] == expected["curve"]


def fresh(plan: Plan) -> Plan:
    """The same plan with methods that know nothing yet, as in a new process."""
    methods = tuple(type(method)(method.config) for method in plan.spec.methods)
    return dataclasses.replace(plan, spec=dataclasses.replace(plan.spec, methods=methods))


@every_kind
def test_the_state_goes_round(name: str, kind: str, world: World, tmp_path: Path) -> None:
    method = trained(world.plan(name, kind), tmp_path).cell.method
    other = type(method)(method.config)
    other.load_state_dict({key: x.clone() for key, x in method.state_dict().items()})
    assert same(other.state_dict(), method.state_dict())
    assert all(isinstance(x, torch.Tensor) for x in method.state_dict().values())


@every_method
def test_accumulated_micro_batches_are_the_batch(name: str, world: World, tmp_path: Path) -> None:
    """Dropout would draw other masks for them, so on the model that has none."""
    settings = "train.eps=1e-4", "train.steps=6"
    whole = stage_for(world.plan(name, "causal", *settings), tmp_path)
    parts = stage_for(world.plan(name, "causal", *settings, "train.micro_batch=2"), tmp_path)
    curves = [train(s.run, s.cell.method, None)["curve"] for s in (whole, parts)]
    for one, other in zip(*curves, strict=True):
        assert other == pytest.approx(one, rel=1e-4)
    found = weights(parts)
    for key, x in weights(whole).items():
        moved = float((x - whole.run.anchor[key]).norm())
        assert moved > 0 or key not in optimised(whole)
        assert float((found[key] - x).norm()) <= 1e-3 * moved, key


@every_method
def test_seeds_differ_and_a_seed_repeats(name: str, world: World, tmp_path: Path) -> None:
    def ends(folder: str, seed: int) -> Any:
        plan = world.plan(name, "causal")
        plan = dataclasses.replace(plan, spec=dataclasses.replace(plan.spec, seeds=(seed,)))
        return weights(trained(plan, tmp_path / folder))

    first = ends("a", 0)
    assert same(ends("b", 0), first)
    assert not same(ends("a", 1), first)


def out_of_range() -> list[tuple[str, str, object]]:
    """(method, field, a value just outside) for every end of every setting's range."""
    found: list[tuple[str, str, object]] = []
    for name in METHODS.names():
        for field in dataclasses.fields(METHODS.get(name).Config):
            rules = field.metadata
            values = {
                "choices": "sideways",
                "low": int(rules["low"] or 0) - 1,
                "high": int(rules["high"] or 0) + 1,
                "above": int(rules["above"] or 0),
            }
            found += [(name, field.name, values[r]) for r in values if rules[r] is not None]
    return found


@pytest.mark.parametrize(("name", "field", "value"), out_of_range())
def test_a_value_out_of_range_is_named(name: str, field: str, value: object, world: World) -> None:
    (rules,) = (f.metadata for f in dataclasses.fields(METHODS.get(name).Config) if f.name == field)
    with pytest.raises(BenchError) as caught:
        world.plan(name, "causal", f"{name}.{field}={value}")
    message = str(caught.value)
    assert f"{name}.{field} = " in message
    assert str(value) in message
    assert allowed(rules) in message


@pytest.mark.parametrize(
    ("name", "field"),
    [(n, f.name) for n in METHODS.names() for f in dataclasses.fields(METHODS.get(n).Config)],
)
def test_a_value_of_another_kind_is_named(name: str, field: str, world: World) -> None:
    with pytest.raises(BenchError, match=rf"{name}\.{field} = '\?!' is (not|out of range)"):
        world.plan(name, "causal", f"{name}.{field}=?!")


@every_method
def test_an_unknown_setting_is_answered_with_the_known_ones(name: str, world: World) -> None:
    known = [field.name for field in dataclasses.fields(METHODS.get(name).Config)]
    with pytest.raises(BenchError, match=f"unknown setting of {name} 'strenth'") as caught:
        world.plan(name, "causal", f"{name}.strenth=1")
    assert all(field in str(caught.value) for field in known)


@every_method
def test_the_card_is_filled_in(name: str) -> None:
    card = METHODS.get(name).card
    assert all(str(getattr(card, field.name)).strip() for field in dataclasses.fields(card))
    assert card.memory > 0
