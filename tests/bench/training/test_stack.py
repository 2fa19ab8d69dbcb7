"""Stacks: which exist, in which order they run, and that a stack of nothing is nothing."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.cells.recipe import Training
from bench.core.errors import BenchError
from bench.planning.method_names import chosen
from bench.planning.plugins import load_builtin
from bench.selfcheck.checks import same
from bench.selfcheck.world import World, stage_for, trained, weights
from bench.training.loop import train
from bench.training.method import METHODS, Card, Method, Role
from bench.training.stack import Stack, clash, in_order

load_builtin()
NAMES = [name for name in METHODS.names() if METHODS.get(name).off is not None]
CARD = Card("t", "p", "e", "d", "none")


class Part(Method):
    """A method that notes what is asked of it."""

    card = CARD

    def __init__(self, name: str, *roles: Role, calls: list[str] | None = None) -> None:
        super().__init__(None)
        self.name, self._roles = name, frozenset(roles)
        self.calls = [] if calls is None else calls

    @property
    def roles(self) -> frozenset[Role]:
        return self._roles

    def prepare(self, run: Any) -> None:
        self.calls.append(f"prepare {self.name}")

    def after_backward(self, run: Any) -> None:
        self.calls.append(f"after_backward {self.name}")

    def after_step(self, run: Any) -> None:
        self.calls.append(f"after_step {self.name}")

    def finish(self, run: Any) -> None:
        self.calls.append(f"finish {self.name}")

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {"x": torch.tensor(len(self.name))}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        self.loaded = state


def defined(*names: str) -> bool:
    return clash([chosen([name], {})[0] for name in names]) is None


PAIRS = [pair for pair in combinations(sorted(NAMES), 2) if defined(*pair)]
RING = {name: next((pair for pair in PAIRS if name in pair), None) for name in NAMES}


@pytest.mark.parametrize("pair", sorted({pair for pair in RING.values() if pair}), ids="+".join)
def test_a_stack_of_what_is_switched_off_is_plain_fine_tuning(
    pair: tuple[str, str], world: World, tmp_path: Path
) -> None:
    """Every method that can be switched off and stacked, in one pair at least."""
    off = [f"{n}.{k}={v}" for n in pair for k, v in (METHODS.get(n).off or {}).items()]
    plain = weights(trained(world.plan("finetune", "causal"), tmp_path))
    assert same(weights(trained(world.plan("+".join(pair), "causal", *off), tmp_path)), plain)
    assert not same(weights(trained(world.plan("+".join(pair), "causal"), tmp_path)), plain)


@pytest.mark.parametrize(("on", "off"), [("ewc", "lwf"), ("lwf", "ewc"), ("l2sp", "freeze")])
def test_a_part_that_is_switched_off_leaves_the_other_as_it_is(
    on: str, off: str, world: World, tmp_path: Path
) -> None:
    words = [f"{off}.{k}={v}" for k, v in (METHODS.get(off).off or {}).items()]
    alone = weights(trained(world.plan(on, "causal"), tmp_path))
    assert same(weights(trained(world.plan(f"{off}+{on}", "causal", *words), tmp_path)), alone)


def test_a_stack_is_stopped_and_goes_on(world: World, tmp_path: Path) -> None:
    whole = trained(world.plan("ewc+lwf", "causal"), tmp_path)
    first = stage_for(world.plan("ewc+lwf", "causal"), tmp_path)
    train(first.run, first.method, tmp_path / "stopped", stop_at=3)
    second = stage_for(world.plan("ewc+lwf", "causal"), tmp_path)
    assert train(second.run, second.method, tmp_path / "stopped")["resumes"] == 1
    assert same(weights(second), weights(whole))


def test_two_pulls_are_the_sum_of_the_two() -> None:
    """With the gradients of either alone, written out."""
    from types import SimpleNamespace

    theta = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    base, stiff = torch.tensor([0.5, 1.0]), torch.tensor([3.0, 7.0])
    loaded = SimpleNamespace(pretrained=lambda: [("w", theta)], base={"w": base})
    net = SimpleNamespace(named_parameters=lambda: [("w", theta)])
    run: Any = SimpleNamespace(net=net, loaded=loaded, anchor={"w": base}, logging=False)
    (stack,) = chosen(["ewc+l2sp"], {"l2sp": {"alpha": 10.0}})
    assert isinstance(stack, Stack)
    stack.parts[0].load_state_dict({"w": stiff})
    theta.grad = torch.tensor([0.1, 0.2])
    stack.after_backward(run)
    wanted = torch.tensor([0.1, 0.2]) + (stiff + 10.0) * (theta.detach() - base)
    assert torch.allclose(theta.grad, wanted)


def test_losses_nest_and_the_task_is_counted_once() -> None:
    """2·(3·task + 1) + 5, from parts that scale and shift; on the run's own object."""

    class Affine(Part):
        def __init__(self, name: str, scale: float, shift: float) -> None:
            super().__init__(name, "loss")
            self.scale, self.shift = scale, shift

        def loss(self, run: Any, batch: Any) -> Any:
            run.logged[self.name] = True
            return self.scale * run.task_loss(batch) + self.shift

    class TrainingContext:
        logged: dict[str, bool] = {}

        def task_loss(self, batch: Any) -> Any:
            return batch

    run: Any = TrainingContext()
    stack = Stack([Affine("a", 2, 5), Affine("b", 3, 1)])
    assert stack.loss(run, 10.0) == 2 * (3 * 10.0 + 1) + 5
    assert run.logged == {"a": True, "b": True}
    assert run.task_loss(10.0) == 10.0


def test_hooks_run_in_order_and_finish_backwards_with_states_apart() -> None:
    calls: list[str] = []
    stack = Stack([Part("a", calls=calls), Part("bc", calls=calls)])
    for hook in (stack.prepare, stack.after_backward, stack.after_step, stack.finish):
        hook(None)  # type: ignore[arg-type]
    hooks = "prepare", "after_backward", "after_step"
    assert calls == [f"{h} {n}" for h in hooks for n in ("a", "bc")] + ["finish bc", "finish a"]
    state = stack.state_dict()
    assert {key: int(x) for key, x in state.items()} == {"a/x": 1, "bc/x": 2}
    stack.load_state_dict(state)
    assert [int(part.loaded["x"]) for part in stack.parts] == [1, 2]  # type: ignore[attr-defined]


def test_optimizers_nest_and_the_part_with_a_rule_of_its_own_is_the_innermost() -> None:
    """The others set to work first (freezing, say), and have its optimizer from `run.adamw`."""
    calls: list[str] = []

    class Builder(Part):
        def optimizer(self, run: Any) -> Any:
            calls.append(self.name)
            return "own" if "optimizer" in self.roles else run.adamw()

    class TrainingContext:
        def adamw(self) -> str:
            return "adamw"

    run: Any = TrainingContext()
    own, plain, other = Builder("a", "optimizer"), Builder("b", "subset"), Builder("c", "loss")
    assert Stack([own, plain, other]).optimizer(run) == "own"  # type: ignore[comparison-overlap]
    assert calls[-1] == "a" and sorted(calls) == ["a", "b", "c"]
    assert Stack([plain, other]).optimizer(run) == "adamw"  # type: ignore[comparison-overlap]
    assert run.adamw() == "adamw"


def order(*parts: Part) -> str:
    return " ".join(part.name for part in in_order(parts))


def test_the_order_is_the_name_where_it_does_not_matter() -> None:
    pull, loss, mask = Part("p", "pull"), Part("l", "loss"), Part("m", "mask")
    assert order(pull, loss) == order(loss, pull) == "l p"
    assert order(mask, loss) == order(loss, mask) == "l m"
    assert order(pull, mask) == "p m"
    assert order(mask, pull) == "m p"
    extra = Part("x", "auxiliary")
    assert (order(mask, extra), order(extra, mask)) == ("m x", "x m")
    assert order(extra, pull) == order(pull, extra) == "p x"
    own = Part("o", "optimizer", "pull")  # its pull is behind the gradients
    assert order(own, mask) == order(mask, own) == "m o"
    adapter, forward, end = Part("a", "adapter"), Part("z", "forward"), Part("b", "finish")
    assert order(adapter, end) == order(end, adapter) == "b a"
    assert order(mask, pull, forward) == "z m p"


def test_both_orders_are_one_cell_and_the_label_names_the_parts() -> None:
    both = chosen(["lwf+ewc", "ewc + lwf", "ewc"], {"lwf": {"interval": "8"}})
    assert [method.label for method in both] == ["ewc+lwf[interval=8]", "ewc"]
    assert both[0].name == "ewc+lwf"
    assert both[0].settings["lwf"]["interval"] == 8
    assert both[0].settings["ewc"] == both[1].settings
    assert both[0].needs == {"generation", "forget", "finetuned"}


ADAPTER = Part("thin", "adapter")


@pytest.mark.parametrize(
    ("one", "other", "reason"),
    [
        (Part("a", "optimizer"), Part("b", "optimizer"), "both replace the optimizer"),
        (Part("a", "finish"), Part("b", "finish"), "both move the weights after the last step"),
        (Part("a", "forward"), Part("b", "forward"), "both compute the loss at other weights"),
        (Part("a", "subset"), Part("b", "subset"), "both choose which weights are trained"),
        (Part("fat", "adapter"), ADAPTER, "both freeze the pretrained weights"),
        (Part("a", "pull"), ADAPTER, "a pulls the pretrained weights, and thin freezes them"),
        (Part("a", "mask"), ADAPTER, "under thin there are none"),
        (Part("a", "forward"), ADAPTER, "a swaps pretrained weights that moved, and thin"),
        (Part("a", "subset"), ADAPTER, "a trains some pretrained weights only, and thin"),
        (Part("a", "optimizer"), ADAPTER, "a is a rule for the pretrained weights, and thin"),
        (Part("a", "step"), Part("b", "optimizer"), "a takes steps of its own, and b's update"),
        (Part("a", "loss"), Part("a", "loss"), "a is in it twice"),
        (Part("a", "loss"), Part("b"), "b does not say what it does to a run"),
    ],
)
def test_a_clash_says_why(one: Part, other: Part, reason: str) -> None:
    for parts in ([one, other], [other, one]):
        assert reason in (clash(parts) or "")
        assert reason in (clash([Part("harmless", "loss"), *parts]) or "")


@pytest.mark.parametrize("role", ["loss", "step", "finish"])
def test_what_goes_with_an_adapter(role: Any) -> None:
    assert clash([Part("a", role), ADAPTER]) is None


OWN = {"lwf": {"ascent": "own"}}


def clash_of(name: str) -> str:
    (stack,) = chosen([name], OWN if "lwf" in name else {})
    assert isinstance(stack, Stack)
    return clash(stack.parts) or ""


def test_a_clash_refuses_the_stack_and_a_misspelt_part_is_a_mistake(world: World) -> None:
    (stack,) = chosen(["recadam+lwf"], OWN)
    model = world.plan("finetune", "causal").spec.models[0]
    reason = stack.refuses(model, Training()) or ""
    assert reason.startswith("the stack is not defined: lwf takes steps of its own")
    assert clash_of("ewc+finetune").startswith("finetune does not say what it does")
    assert clash_of("lwf+lwf") == "lwf is in it twice"
    with pytest.raises(BenchError, match=r"unknown method 'lwff'\. Did you mean 'lwf'"):
        chosen(["ewc+lwff"], {})
    with pytest.raises(BenchError, match=r"method 'ewc\+': a name is missing"):
        chosen(["ewc+"], {})


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("recadam:random_init+replay", "moves the weights before training"),
        ("lwf:ahead+mas", "moves the weights before training"),
        ("freeze+recadam:random_init", "moves the weights before training"),
        ("child_tuning+lwf", "steps of its own, which child_tuning does not mask"),
        ("mixout+ga", "at the weights themselves"),
    ],
)
def test_what_would_be_wrong_without_a_word_is_refused(name: str, reason: str) -> None:
    assert reason in clash_of(name)
