"""LWF: when answers are unlearned, how far, and what that changes."""

from __future__ import annotations

import math
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.core.errors import CellError
from bench.network.batches import IGNORE
from bench.network.likelihood import example_losses
from bench.planning.plan import Plan
from bench.running.session import CellSession
from bench.selfcheck.world import plan_for, stage_for, trained, weights
from bench.training.loop import train
from methods.lwf import unlearning
from methods.lwf.method import LWF
from methods.lwf.settings import LWFConfig
from methods.shared.answers import AnswerSet
from tests.helpers.lwf_cells import Make, config_of, kept_answers, prepared, prepared_answers


def unlearned_loss(stage: CellSession, answers: AnswerSet) -> float:
    """Nats per token of D_U."""
    batch = answers.batch(range(len(answers)), stage.tokenizer.pad_token_id)
    with torch.no_grad():
        losses = example_losses(stage.run.task_model, batch)
    return float(losses.sum() / (batch.targets != IGNORE).sum())


def adam_steps(stage: CellSession) -> int:
    """How often the optimizer has moved the weights."""
    steps = {int(s["step"]) for s in stage.run.optimizer.optimizer.state.values()}
    assert len(steps) == 1
    return steps.pop()


@pytest.mark.parametrize(("interval", "expected"), [(1, 14), (3, 9), (4, 8), (8, 7)])
def test_one_ascent_after_every_interval(
    interval: int, expected: int, lwf_plan: Make, tmp_path: Path
) -> None:
    settings = f"lwf.interval={interval}", "train.steps=7"
    stage = trained(lwf_plan(*settings), tmp_path)
    assert stage.run.step == 7
    assert adam_steps(stage) == expected


def ascents(
    plan: Plan, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> list[tuple[int, int, float]]:
    """(learning steps done, turn, learning rate) of every ascent of a run."""
    found = []
    real = unlearning.ascend

    def noted(run: Any, config: LWFConfig, answers: AnswerSet, turn: int) -> float:
        (rate,) = {group["lr"] for group in run.optimizer.param_groups}
        found.append((run.step, turn, rate))
        return real(run, config, answers, turn)

    with monkeypatch.context() as patch:
        patch.setattr(unlearning, "ascend", noted)
        trained(plan, folder)
    return found


def test_schedules_differ_in_nothing_but_when(
    lwf_plan: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def when(schedule: str, **options: Any) -> list[tuple[int, int, float]]:
        words = f"lwf.schedule={schedule}", "lwf.interval=3", "train.steps=14"
        return ascents(lwf_plan(*words, **options), tmp_path, monkeypatch)

    periodic, ahead, random = when("periodic"), when("ahead"), when("random")
    assert [step for step, _, _ in periodic] == [3, 6, 9, 12]
    assert [step for step, _, _ in ahead] == [0, 0, 0, 0]
    assert [rate for _, _, rate in ahead] == [rate for _, _, rate in periodic]
    steps = [step for step, _, _ in random]
    assert len(set(steps)) == 4
    assert steps == sorted(steps) != [3, 6, 9, 12]
    assert all(1 <= step <= 14 for step in steps)
    assert when("random") == random != when("random", first_seed=1)
    assert all([turn for _, turn, _ in some] == [0, 1, 2, 3] for some in (periodic, ahead, random))


@pytest.mark.parametrize("schedule", ["random", "ahead"])
def test_a_schedule_survives_a_resume(schedule: str, lwf_plan: Make, tmp_path: Path) -> None:
    plan = lwf_plan(f"lwf.schedule={schedule}", "lwf.interval=2", "train.steps=8")
    whole = trained(plan, tmp_path)
    first = stage_for(plan, tmp_path)
    train(first.run, LWF(config_of(first)), tmp_path / "stopped", stop_at=5)
    second = stage_for(plan, tmp_path)
    train(second.run, LWF(config_of(second)), tmp_path / "stopped")
    assert all(torch.equal(x, weights(second)[name]) for name, x in weights(whole).items())


@pytest.mark.parametrize("variant", LWF.variants)
def test_a_variant_changes_the_outcome(variant: str, lwf_plan: Make, tmp_path: Path) -> None:
    settings = "lwf.share=0.5", "lwf.weight=1", "train.steps=6"
    words = [f"lwf.{name}={value}" for name, value in LWF.variants[variant].items()]
    plain = weights(trained(lwf_plan(*settings), tmp_path))
    varied = weights(trained(lwf_plan(*settings, *words), tmp_path))
    assert not all(torch.equal(x, varied[name]) for name, x in plain.items())


@pytest.mark.parametrize("interval", [4, 5])
def test_a_run_too_short_to_unlearn_says_so(interval: int, lwf_plan: Make, tmp_path: Path) -> None:
    """Four steps; a stopped run says it too when it goes on."""
    plan = lwf_plan(f"lwf.interval={interval}")
    stage = stage_for(plan, tmp_path)
    train(stage.run, stage.method, tmp_path, stop_at=2)
    stage = stage_for(plan, tmp_path)
    record = train(stage.run, stage.method, tmp_path)
    said = ["nothing unlearned: 4 steps, lwf.interval is 5"]
    assert record["notes"] == ([] if interval == 4 else said)


def test_ascent_raises_the_loss_of_what_is_unlearned(
    lwf_plan: Make, tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    settings = "lwf.weight=20", "lwf.interval=1", "train.steps=8", "train.lr=2e-3"
    stage = stage_for(lwf_plan(*settings), tmp_path)
    before = unlearned_loss(stage, prepared(stage).unlearned)
    curve = train(stage.run, stage.method, None)["curve"]
    after = unlearned_loss(stage, prepared_answers(stage))
    plan = plan_for(["finetune"], ["cola"], tiny_causal, tiny_data, *settings[2:])
    plain = unlearned_loss(trained(plan, tmp_path), prepared_answers(stage))
    assert after > before + 0.5
    assert after > plain + 0.5
    assert [point["unlearned_nll"] for point in curve][-1] > curve[0]["unlearned_nll"] > 0


def test_ascent_stops_at_the_bound(lwf_plan: Make, tmp_path: Path) -> None:
    settings = "lwf.weight=20", "lwf.interval=1", "train.steps=8", "train.lr=2e-3"
    held = trained(lwf_plan(*settings, "lwf.max_unlearn_nll=0"), tmp_path)
    assert adam_steps(held) == 8, "nothing lies below 0 nats: every ascent is passed over"
    stage = trained(lwf_plan(*settings, "lwf.max_unlearn_nll=2.5"), tmp_path)
    assert 8 < adam_steps(stage) < 16
    free = trained(lwf_plan(*settings, "lwf.max_unlearn_nll=1000"), tmp_path)
    assert adam_steps(free) == 16
    vocabulary = stage.run.net.config.vocab_size
    default = trained(lwf_plan(*settings), tmp_path)
    bounded = trained(lwf_plan(*settings, f"lwf.max_unlearn_nll={math.log(vocabulary)}"), tmp_path)
    assert all(torch.equal(x, weights(bounded)[name]) for name, x in weights(default).items())


def test_each_round_goes_through_all_answers(
    lwf_plan: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = "lwf.interval=1", "lwf.batch_size=3", "train.steps=6", "lwf.max_unlearn_nll=0"
    stage = stage_for(lwf_plan(*settings), tmp_path)
    answers = AnswerSet([[2, 10 + i] for i in range(8)], [[20 + i] for i in range(8)])
    monkeypatch.setattr(stage.method, "prepare", lambda run: None)
    stage.method.load_state_dict(answers.to_tensors())
    seen: list[list[int]] = []
    real = AnswerSet.batch

    def noted(self: AnswerSet, indices: Any, pad: int) -> Any:
        seen.append(list(indices))
        return real(self, indices, pad)

    monkeypatch.setattr(AnswerSet, "batch", noted)
    train(stage.run, stage.method, None)
    assert [len(part) for part in seen] == [3, 3, 2, 3, 3, 2]
    rounds = [list(chain(*seen[:3])), list(chain(*seen[3:]))]
    assert [sorted(order) for order in rounds] == [list(range(8))] * 2
    assert rounds[0] != rounds[1]


def test_weight_zero_is_plain_fine_tuning_bit_for_bit(
    lwf_plan: Make, tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    plain = weights(trained(plan_for(["finetune"], ["cola"], tiny_causal, tiny_data), tmp_path))
    off = weights(trained(lwf_plan("lwf.weight=0"), tmp_path))
    on = weights(trained(lwf_plan(), tmp_path))
    assert all(torch.equal(x, off[name]) for name, x in plain.items())
    assert not all(torch.equal(x, on[name]) for name, x in plain.items())


def test_not_a_number_fails_the_cell(lwf_plan: Make, tmp_path: Path) -> None:
    """The ascent says so itself: no learning step comes after the last one to notice."""
    stage = stage_for(lwf_plan(), tmp_path)
    answers = kept_answers(stage)
    stage.run.net.get_input_embeddings().weight.data.fill_(math.nan)
    with pytest.raises(CellError, match=r"answers to unlearn is nan at step 0 of 4; a smaller"):
        unlearning.ascend(stage.run, config_of(stage), answers, 0)
    diverging = "train.lr=1e38", "train.schedule=constant", "train.warmup=0", "lwf.weight=0"
    with pytest.raises(CellError, match=r"the loss is (nan|inf) at step 2 of 4; a smaller"):
        trained(lwf_plan(*diverging), tmp_path)
