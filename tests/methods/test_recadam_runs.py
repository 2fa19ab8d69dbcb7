"""RecAdam in a run: its settings, what it pulls, where it starts and what it holds."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from bench.cells.recipe import Training
from bench.core.errors import BenchError, RefusedError
from bench.planning.method_names import chosen
from bench.scoring.evaluation import drift
from bench.selfcheck.world import plan_for, stage_for, trained, weights
from bench.training.loop import train
from methods.recadam.method import RecAdam, RecAdamConfig
from methods.recadam.optimizer import RecAdamW


def test_gamma_is_as_published_at_the_published_rate() -> None:
    assert RecAdam(RecAdamConfig()).gamma(Training(lr=2e-5)) == pytest.approx(5000)
    assert RecAdam(RecAdamConfig()).gamma(Training(lr=5e-4)) == pytest.approx(200)
    assert RecAdam(RecAdamConfig(gamma=7.0)).gamma(Training(lr=2e-5)) == 7


def test_an_overshooting_pull_is_refused_with_its_numbers(
    tiny_causal: Path, tiny_data: Path
) -> None:
    def plan(lr: str) -> None:
        settings = f"train.lr={lr}", "recadam.gamma=5000"
        plan_for(["recadam"], ["cola"], tiny_causal, tiny_data, *settings)

    with pytest.raises(BenchError, match=r"0\.0004 x gamma 5000 = 2 .*gamma to 2475 or less"):
        plan("4e-4")
    plan("2e-4")  # exactly 1: lands on θ0


def test_as_published(tiny_causal: Path, tiny_data: Path) -> None:
    """Random start, γ 5000 and t0 250, with a slope of 0.1; the rate is the run's to set."""

    def plan(lr: str) -> None:
        plan_for(["recadam:published"], ["cola"], tiny_causal, tiny_data, f"train.lr={lr}")

    (method,) = chosen(["recadam:published"], {})
    assert method.config == RecAdamConfig(gamma=5000.0, t0=250, k=0.1, init="random")
    assert method.label == "recadam:published"
    plan("2e-5")
    with pytest.raises(RefusedError, match=r"gamma 5000 = 2\.5 .* or train.lr to 2.0e-04"):
        plan("5e-4")


def test_the_card_tells_the_published_recipe_whole() -> None:
    told = RecAdam.card.defaults
    for part in (
        "train.weight_decay=0",
        *("61360 (MNLI)", "56855 (QQP)", "33890 (QNLI)", "21050 (SST-2)", "13400 (CoLA)"),
        *("9000 (STS-B)", "11500 (MRPC)", "7800 (RTE)"),
        "t0 = 100 (secondary)",
        "k = 0.5, t0 = 250 (secondary)",
        "best score of all its evaluations on dev (seen), this suite that of the last weights",
    ):
        assert part in told


@pytest.mark.parametrize(
    ("name", "settings", "share"),
    [
        ("recadam", ["recadam.t0=250", "train.steps=268"], "93% of the run's 268 steps"),
        ("recadam", ["recadam.t0=250", "train.steps=2000"], None),
        ("recadam:published", ["train.steps=1000", "train.lr=2e-5"], "25% of the run's 1000 steps"),
        ("recadam:fraction", [], "50% of the run's 4 steps"),
        ("recadam", [], None),
        ("recadam", ["recadam.t0=250", "recadam.anneal=constant"], None),
        ("recadam", ["recadam.t0=2", "recadam.anneal=linear"], "50% of the run's 4 steps"),
    ],
)
def test_a_late_t0_is_noted(
    name: str,
    settings: list[str],
    share: str | None,
    tiny_causal: Path,
    tiny_data: Path,
    tmp_path: Path,
) -> None:
    stage = stage_for(plan_for([name], ["cola"], tiny_causal, tiny_data, *settings), tmp_path)
    stage.method.optimizer(stage.run)
    assert [note.split(" at ")[1].split(":")[0] for note in stage.run.notes] == [share] * bool(
        share
    )


def test_all_pretrained_weights_are_pulled_and_nothing_else(
    tiny_causal: Path, tiny_encoder: Path, tiny_data: Path, tmp_path: Path
) -> None:
    for model in (tiny_causal, tiny_encoder):
        stage = stage_for(plan_for(["recadam"], ["cola"], model, tiny_data), tmp_path)
        optimizer = stage.method.optimizer(stage.run)
        assert isinstance(optimizer, RecAdamW)
        pulled = {n for g in optimizer.param_groups if g["pretrained"] for n in g["names"]}
        assert pulled <= optimizer.anchor.keys()
        sizes = {name: p.numel() for name, p in stage.run.net.named_parameters()}
        assert pulled == sizes.keys() & load_file(model / "model.safetensors").keys()
        backbone = [n for n in sizes if n.split(".")[0] in ("model", "bert") and "pooler" not in n]
        share = sum(sizes[n] for n in pulled & set(backbone)) / sum(sizes[n] for n in backbone)
        assert share > 0.99
        assert any("norm" in name.lower() for name in pulled)
        decayed = {n for g in optimizer.param_groups if g["weight_decay"] for n in g["names"]}
        assert decayed == {name for name, p in stage.run.net.named_parameters() if p.ndim > 1}


def test_lambda_is_on_the_curve(tiny_causal: Path, tiny_data: Path, tmp_path: Path) -> None:
    settings = "recadam.anneal=linear", "recadam.t0_fraction=0.5", "train.steps=4"
    stage = stage_for(plan_for(["recadam"], ["cola"], tiny_causal, tiny_data, *settings), tmp_path)
    curve = train(stage.run, stage.method, None)["curve"]
    assert [point["recadam_lambda"] for point in curve] == [0.5, 1, 1, 1]


def test_t0_and_k_as_shares_of_the_run(tiny_causal: Path, tiny_data: Path, tmp_path: Path) -> None:
    """In a run of any length, a quarter of it after t0 and 1/k a tenth of it, λ = 1/(1+e^−2.5)."""
    settings = "recadam.t0_fraction=0.5", "recadam.k_fraction=0.1"
    for steps in (4, 8):
        words = *settings, f"train.steps={steps}"
        stage = stage_for(plan_for(["recadam"], ["cola"], tiny_causal, tiny_data, *words), tmp_path)
        curve = train(stage.run, stage.method, None)["curve"]
        found = {point["step"] / steps: point["recadam_lambda"] for point in curve}
        assert found[0.5] == pytest.approx(0.5)
        assert found[0.75] == pytest.approx(1 / (1 + math.exp(-2.5)))


@pytest.mark.parametrize("variant", RecAdam.variants)
def test_a_variant_differs_from_the_default(variant: str) -> None:
    assert RecAdamConfig(**RecAdam.variants[variant]) != RecAdamConfig()


def test_random_weights_are_pulled_to_the_pretrained_ones(
    tiny_encoder: Path, tiny_data: Path, tmp_path: Path
) -> None:
    """With λ = 0 each step takes a share lr·γ of the way to θ0, whatever the task says."""
    lr, gamma, steps = 1e-3, 100.0, 20
    settings = [f"train.lr={lr}", "train.warmup=0", "train.schedule=constant"]
    settings += ["train.weight_decay=0", "recadam.init=random", "recadam.t0=100000"]
    settings += [f"recadam.gamma={gamma}"]

    def after(steps: int, *extra: str, **options: Any) -> Any:
        words = [*settings, f"train.steps={steps}", *extra]
        plan = plan_for(["recadam"], ["cola"], tiny_encoder, tiny_data, *words, **options)
        return trained(plan, tmp_path)

    start, end = after(0), after(steps)
    ratio = drift(end.loaded) / drift(start.loaded)
    assert ratio == pytest.approx((1 - lr * gamma) ** (2 * steps), rel=0.01)

    plain = stage_for(plan_for(["recadam"], ["cola"], tiny_encoder, tiny_data), tmp_path)
    random, again, other = (weights(s) for s in (start, after(0), after(0, first_seed=1)))
    assert random.keys() > start.loaded.base.keys(), "there is a new head"
    for name, x in weights(plain).items():
        assert torch.equal(x, random[name]) == (name not in start.loaded.base)
        assert torch.equal(again[name], random[name])
        if x.ndim > 1:
            assert not torch.equal(other[name], random[name]), "another seed, other weights"


def test_the_strongest_pull_holds_every_weight(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    settings = ["lr=0.0009765625", "warmup=0", "schedule=constant", "weight_decay=0"]
    words = [f"train.{setting}" for setting in settings]
    words += ["recadam.gamma=1024", "recadam.t0=100000"]
    stage = trained(plan_for(["recadam"], ["cola"], tiny_causal, tiny_data, *words), tmp_path)
    assert drift(stage.loaded) == 0
