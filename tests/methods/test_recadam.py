"""RecAdam against the published rule."""

from __future__ import annotations

import copy
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.cells.recipe import Training
from bench.network.batches import collate, step_batches
from bench.network.likelihood import example_losses
from bench.selfcheck.world import plan_for, stage_for, trained, weights
from bench.training.context import TrainingContext
from bench.training.schedule import rate_factor
from methods.recadam.method import RecAdam
from methods.recadam.optimizer import RecAdamW, Schedule
from tests.helpers.published_recadam import ANNEALING, Case, Published

STEPS = 200
SHAPES = {"body.weight": (7, 5), "body.bias": (7,), "head.weight": (3, 7), "head.bias": (3,)}


def drawn(seed: int, *more: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(*more, *shape, generator=generator, dtype=torch.float64)
        for name, shape in SHAPES.items()
    }


NOISE = drawn(4, STEPS)


def start_values(dtype: torch.dtype) -> dict[str, Tensor]:
    return {name: x.to(dtype) for name, x in drawn(3).items()}


def gradients_at(theta: dict[str, Tensor], t: int) -> dict[str, Tensor]:
    """The gradient of a noisy bowl whose bottom is at 3, so that the path depends on itself."""
    return {
        name: (x.detach() - 3) * 0.05 + NOISE[name][t - 1].to(x.dtype) * 0.1
        for name, x in theta.items()
    }


def set_rate(optimizer: RecAdamW, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr


CASES = {
    "sigmoid": Case(),
    "linear": Case(anneal="linear"),
    "constant": Case(anneal="constant"),
    "weight decay": Case(decay=0.5),
    "warm-up and decay": Case(decay=0.1, recipe=Training(warmup=0.2, schedule="linear")),
    "warm-up, linear": Case(anneal="linear", recipe=Training(warmup=0.1, schedule="cosine")),
    "betas": Case(betas=(0.7, 0.9)),
    "large eps": Case(eps=0.05),
    "floor": Case(floor=0.3, k=0.5, t0=20),
    "steep": Case(k=1.0, t0=100),
    "strong pull": Case(gamma=450.0),
    "warmup only": Case(gamma=0.0, decay=0.1),
    "anchor only": Case(anneal_task=False, decay=0.1),
    "no annealing": Case(anneal_task=False, floor=1.0, decay=0.1),
}


def compare(case: Case, dtype: torch.dtype) -> float:
    """The largest relative distance from the published path on 200 steps, over all parameters."""
    start = start_values(dtype)
    optimizer, theta = case.optimizer(start)
    published = Published(case, start)
    worst = 0.0
    for t in range(1, STEPS + 1):
        lr = case.lr * rate_factor(case.recipe, t - 1, STEPS)
        set_rate(optimizer, lr)
        for name, g in gradients_at(theta, t).items():
            theta[name].grad = g
        optimizer.step()
        published.step(gradients_at(published.theta, t), lr)
        assert optimizer.last_lambda == pytest.approx(case.weight(t), rel=1e-12)
        for name, x in theta.items():
            expected = published.theta[name]
            worst = max(worst, float((x.detach() - expected).norm() / expected.norm()))
    moved = [float((theta[n].detach() - x).norm() / x.norm()) for n, x in start.items()]
    assert min(moved) > 1e-3, "a comparison of paths that go nowhere says nothing"
    return worst


@pytest.mark.parametrize("name", CASES)
def test_equals_the_published_update(name: str) -> None:
    assert compare(CASES[name], torch.float64) < 1e-12


@pytest.mark.parametrize("name", ["sigmoid", "linear", "warm-up and decay", "large eps"])
def test_equals_the_published_update_in_float32(name: str) -> None:
    assert compare(CASES[name], torch.float32) < 1e-6


@pytest.mark.parametrize(
    ("name", "dtype", "error"),
    [
        ("warm-up and decay", torch.float64, 1e-12),
        ("warm-up and decay", torch.float32, 1e-6),
        ("anchor only", torch.float64, 1e-12),
    ],
)
def test_equals_the_published_update_in_one_compiled_pass(
    name: str, dtype: torch.dtype, error: float
) -> None:
    if not shutil.which("g++"):
        pytest.skip("no C++ compiler")
    case = replace(CASES[name], compiled=True)
    torch._dynamo.reset()
    once = torch._dynamo.config.patch(recompile_limit=2, fail_on_recompile_limit_hit=True)
    with once:  # for each of the two groups, not for each of the steps
        assert compare(case, dtype) < error


def walk(optimizer: torch.optim.Optimizer, theta: dict[str, Tensor], rate: Any, pull: Any) -> None:
    """Steps on the noisy bowl: the rate of each, and the way to θ0 that is taken behind it."""
    start = {name: x.detach().clone() for name, x in theta.items()}
    for t in range(1, STEPS + 1):
        for group in optimizer.param_groups:
            group["lr"] = rate(t, group)
        for name, g in gradients_at(theta, t).items():
            theta[name].grad = g
        optimizer.step()
        for name, x in theta.items():
            if name.startswith("body"):
                x.data -= pull(t) * (x.data - start[name])


@pytest.mark.parametrize("variant", ["warmup_only", "anchor_only", "no_annealing"])
def test_an_arm_of_the_ablation_is_torchs_adamw_and_one_thing_more(variant: str) -> None:
    """The rate times λ(t), the pull that RecAdam has, or a pull that stays; ε, whose place differs,
    is next to nothing."""
    settings = {"gamma": 40.0, **RecAdam.variants[variant]}
    case = Case(eps=1e-30, t0=20, **settings)
    start = start_values(torch.float64)
    ours, found = case.optimizer(start)
    walk(ours, found, lambda t, group: case.lr, lambda t: 0.0)

    body = [torch.nn.Parameter(x.clone()) for name, x in start.items() if name[:4] == "body"]
    head = [torch.nn.Parameter(x.clone()) for name, x in start.items() if name[:4] == "head"]
    plain = torch.optim.AdamW([{"params": body}, {"params": head}], eps=1e-30, weight_decay=0.0)
    weight = ANNEALING["sigmoid"]

    def rate(t: int, group: dict[str, Any]) -> float:
        warm = variant == "warmup_only" and group["params"][0] is body[0]
        return case.lr * (weight(t, case.k, case.t0) if warm else 1.0)

    def pull(t: int) -> float:
        left = {"warmup_only": 0.0, "anchor_only": 1 - weight(t, case.k, case.t0)}
        return case.lr * 40.0 * left.get(variant, 1.0)

    expected = dict(zip(start, [*body, *head], strict=True))
    walk(plain, expected, rate, pull)
    for name, x in found.items():
        torch.testing.assert_close(x.data, expected[name].data, rtol=1e-10, atol=0)


def test_narrow_parameters_are_the_rounded_values_of_a_float32_path() -> None:
    """Steps far smaller than bfloat16 resolves add up, and a restored optimizer goes on so."""
    case = Case(lr=1e-3)
    start = {name: x.bfloat16() for name, x in start_values(torch.float64).items()}
    published = Published(case, {name: x.double() for name, x in start.items()})
    optimizer, theta = case.optimizer(start)
    for t in range(1, 41):
        if t == 21:
            state = copy.deepcopy(optimizer.state_dict())
            optimizer, theta = case.optimizer(start)
            optimizer.load_state_dict(state)
        gradients = {n: g.bfloat16() for n, g in gradients_at(published.theta, t).items()}
        for name, g in gradients.items():
            theta[name].grad = g
        optimizer.step()
        published.step({name: g.double() for name, g in gradients.items()}, case.lr)
        for name, x in theta.items():
            expected = published.theta[name]
            master = optimizer.state[x]["master"]
            assert master.dtype == torch.float32
            assert float((master - expected).norm() / expected.norm()) < 1e-6
            assert torch.equal(x.data, master.bfloat16())
    assert all(not torch.equal(theta[name].data, x) for name, x in start.items())


def test_narrow_parameters_go_on_from_the_state_of_wide_ones() -> None:
    case = Case(lr=1e-3)
    start = start_values(torch.bfloat16)
    wide, theta = case.optimizer({name: x.float() for name, x in start.items()})
    narrow, rounded = case.optimizer(start)
    for name, g in gradients_at(theta, 1).items():
        theta[name].grad = g
    wide.step()
    narrow.load_state_dict(copy.deepcopy(wide.state_dict()))
    for name, x in theta.items():
        x.data, x.grad = rounded[name].data.float(), NOISE[name][0].bfloat16().float()
        rounded[name].grad = x.grad.bfloat16()
    wide.step()
    narrow.step()
    for name, x in theta.items():
        torch.testing.assert_close(narrow.state[rounded[name]]["master"], x.data)


def test_the_schedules() -> None:
    assert Schedule("sigmoid", 0.1, 250)(250) == 0.5
    assert Schedule("sigmoid", 1.0, 10**6)(1) == 0.0  # where exp(−k(t−t0)) overflows
    assert [Schedule("linear", 0.1, 4)(t) for t in (1, 2, 4, 9)] == [0.25, 0.5, 1, 1]
    assert [Schedule("constant", 0.1, 4)(t) for t in (1, 9)] == [1, 1]
    assert Schedule("constant", 0.1, 4, floor=0.25)(9) == 0.75
    with pytest.raises(ValueError, match="unknown annealing 'cosine'"):
        Schedule("cosine", 0.1, 4)(1)


def test_a_parameter_without_a_gradient_stays() -> None:
    case = Case(decay=0.5)
    start = start_values(torch.float32)
    optimizer, theta = case.optimizer(start)
    theta["body.weight"].data += 1  # away from the anchor: a pull would show
    for t in range(1, 4):
        for name, g in gradients_at(theta, t).items():
            theta[name].grad = None if name in ("body.weight", "head.weight") else g
        optimizer.step()
    assert torch.equal(theta["body.weight"], start["body.weight"] + 1)
    assert torch.equal(theta["head.weight"], start["head.weight"])
    assert not torch.equal(theta["body.bias"], start["body.bias"])


def test_the_clock_of_a_group_goes_on_for_those_without_a_gradient() -> None:
    case = Case(decay=0.1, eps=0.05, t0=10)
    start = start_values(torch.float64)
    optimizer, theta = case.optimizer(start)
    published = Published(case, start)
    for t in range(1, 31):
        gradients = gradients_at(published.theta, t)
        if t % 3 == 0 or t < 5:  # some come late, and some not always
            del gradients["body.weight"]
        for name, x in theta.items():
            x.grad = gradients.get(name)
        optimizer.step()
        published.step(gradients, case.lr)
    for name, x in theta.items():
        torch.testing.assert_close(x.data, published.theta[name], rtol=1e-12, atol=0)


def test_a_weight_at_its_pretrained_value_stays_there_exactly() -> None:
    """The rows of an embedding that no text uses, over steps of a pull that float32 rounds."""
    case = Case(gamma=1e-4, k=0.01)
    start = start_values(torch.float32)
    optimizer, theta = case.optimizer(start)
    for _ in range(50):
        for x in theta.values():
            x.grad = torch.zeros_like(x)
        optimizer.step()
    assert all(torch.equal(theta[name], x) for name, x in start.items())


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_before_the_annealing_the_whole_way_back_is_taken_at_once(decay: float) -> None:
    """lr·γ = 1 and λ = 0 in float64: whatever the gradient, θ is (1 − lr · weight_decay) θ0."""
    case = Case(gamma=500.0, k=10.0, t0=1000, decay=decay)
    start = start_values(torch.float64)
    optimizer, theta = case.optimizer(start)
    theta["body.weight"].data += 1
    for name, g in gradients_at(theta, 1).items():
        theta[name].grad = g
    optimizer.step()
    assert optimizer.last_lambda == 0
    expected = (1 - case.lr * decay) * start["body.weight"]
    torch.testing.assert_close(theta["body.weight"].data, expected, rtol=1e-15, atol=0)


def test_a_restored_optimizer_goes_on_bit_for_bit() -> None:
    case = Case(decay=0.1, t0=10)
    start = start_values(torch.float32)
    optimizer, theta = case.optimizer(start)
    for t in range(1, 21):
        if t == 11:
            state = copy.deepcopy(optimizer.state_dict())
            half = {name: x.detach().clone() for name, x in theta.items()}
        for name, g in gradients_at(theta, t).items():
            theta[name].grad = g
        optimizer.step()
    again, other = case.optimizer(start)
    again.load_state_dict(state)
    for name, x in half.items():
        other[name].data.copy_(x)
    for t in range(11, 21):
        for name, g in gradients_at(other, t).items():
            other[name].grad = g
        again.step()
    assert all(torch.equal(x, other[name]) for name, x in theta.items())
    assert again.last_lambda == optimizer.last_lambda


def groups(pretrained: bool, name: str = "body.weight") -> list[dict[str, Any]]:
    parameter = torch.nn.Parameter(torch.zeros(2, 2))
    return [{"params": [parameter], "names": [name], "pretrained": pretrained}]


def test_pulling_nothing_is_an_error() -> None:
    anchor = {"body.weight": torch.zeros(2, 2)}
    with pytest.raises(ValueError, match="nothing to recall"):
        RecAdamW(groups(pretrained=False), anchor, Schedule("sigmoid", 0.1, 5), 1.0)
    with pytest.raises(ValueError, match=r"no pretrained value for model\.body\.weight"):
        RecAdamW(groups(True, "model.body.weight"), anchor, Schedule("sigmoid", 0.1, 5), 1.0)


def test_in_the_loop_only_the_task_gradient_is_clipped(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    settings = ["steps=8", "clip=0.05", "weight_decay=0.1", "eps=1e-6", "warmup=0.25", "lr=2e-3"]
    plan = plan_for(
        ["recadam"],
        ["cola"],
        tiny_causal,
        tiny_data,
        *(f"train.{setting}" for setting in settings),
        *("recadam.t0=3", "recadam.k=1", "recadam.gamma=100"),
    )
    found = weights(trained(plan, tmp_path / "product"))
    run = stage_for(plan, tmp_path / "published").run
    recipe = run.cell.training
    case = Case(
        k=1.0, t0=3, gamma=100.0, decay=0.1, betas=(recipe.beta1, recipe.beta2), eps=recipe.eps
    )
    parameters = dict(run.net.named_parameters())
    published = Published(case, {name: p.detach().clone() for name, p in parameters.items()})
    published.theta = {name: p.data for name, p in parameters.items()}  # moved in place
    for step, gradients in enumerate(task_gradients(run)):
        assert float(torch.nn.utils.get_total_norm(gradients.values())) > recipe.clip
        torch.nn.utils.clip_grad_norm_(parameters.values(), recipe.clip)
        clipped = {name: p.grad for name, p in parameters.items() if p.grad is not None}
        published.step(clipped, recipe.lr * rate_factor(recipe, step, run.steps))
    for name, start in run.anchor.items():
        moved = (found[name] - start).norm()
        assert moved > 0
        assert (found[name] - published.theta[name]).norm() / moved < 1e-4, name


def task_gradients(run: TrainingContext) -> Any:
    """The task's gradient at each step, as the weights are by then."""
    rows, cell = run.train_rows, run.cell
    for indices in step_batches(rows, cell.training, cell.task.name, cell.seed, 0, run.steps):
        batch = collate(rows, indices, run.tokenizer.pad_token_id)
        run.net.zero_grad()
        losses = example_losses(run.task_model, batch)
        (losses.sum() / sum(len(rows.answers[i][rows.gold[i]]) for i in indices)).backward()
        yield {name: p.grad for name, p in run.net.named_parameters() if p.grad is not None}
