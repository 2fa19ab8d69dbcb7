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
from tests.helpers.lwf_by_hand import ByHand
from tests.helpers.lwf_cells import Make, config_of, kept_answers, prepared, prepared_answers

SCHEDULES = ["periodic", "random", "ahead"]
STEPS = 7
HARD = "lwf.weight=20", "lwf.interval=1", "lwf.temperature=1", "train.steps=8", "train.lr=2e-3"


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
def test_one_ascent_in_every_interval(
    interval: int, expected: int, lwf_plan: Make, tmp_path: Path
) -> None:
    settings = f"lwf.interval={interval}", "train.steps=7"
    own = trained(lwf_plan(*settings, "lwf.ascent=own"), tmp_path)
    joint = trained(lwf_plan(*settings), tmp_path)
    assert own.run.step == joint.run.step == 7
    assert adam_steps(own) == expected
    assert adam_steps(joint) == 7, "the ascent joins the learning step"


def ascents(
    plan: Plan, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> list[tuple[int, int, float]]:
    """(learning steps done, turn, learning rate) of every ascent of a run."""
    found = []
    real = LWF.add_gradient

    def noted(self: LWF, run: Any, turn: int) -> bool:
        (rate,) = {group["lr"] for group in run.optimizer.param_groups}
        found.append((run.step, turn, rate))
        return real(self, run, turn)

    with monkeypatch.context() as patch:
        patch.setattr(LWF, "add_gradient", noted)
        trained(plan, folder)
    return found


@pytest.mark.parametrize("ascent", ["own", "joint"])
def test_schedules_differ_in_nothing_but_when(
    ascent: str, lwf_plan: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def when(schedule: str, **options: Any) -> list[tuple[int, int, float]]:
        words = f"lwf.ascent={ascent}", "lwf.interval=3", "train.steps=14"
        return ascents(
            lwf_plan(*words, f"lwf.schedule={schedule}", **options), tmp_path, monkeypatch
        )

    periodic, ahead, random = when("periodic"), when("ahead"), when("random")
    joint = ascent == "joint"  # the third learning step's own, when two are done
    assert [step + joint for step, _, _ in periodic] == [3, 6, 9, 12]
    assert [step for step, _, _ in ahead] == ([0, 1, 2, 3] if joint else [0, 0, 0, 0])
    assert joint or [rate for _, _, rate in ahead] == [rate for _, _, rate in periodic]
    steps = [step + joint for step, _, _ in random]
    assert len(set(steps)) == 4
    assert steps == sorted(steps) != [3, 6, 9, 12]
    assert all(1 <= step <= 14 for step in steps)
    assert when("random") == random != when("random", first_seed=1)
    assert all([turn for _, turn, _ in some] == [0, 1, 2, 3] for some in (periodic, ahead, random))


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("ascent", ["own", "joint"])
def test_a_run_is_what_it_is_by_hand(
    ascent: str, schedule: str, lwf_plan: Make, tmp_path: Path
) -> None:
    """Bit for bit, without a cap; sampled and with steps of its own it is version 0.4.0's."""
    words = f"lwf.ascent={ascent}", f"lwf.schedule={schedule}", "lwf.max_rise=none"
    plan = lwf_plan(*words, "lwf.temperature=1", "lwf.interval=2", f"train.steps={STEPS}")
    stage = stage_for(plan, tmp_path)
    turns = {unlearning.turn_at(stage.run, config_of(stage), t): t for t in range(1, STEPS + 1)}
    drawn = [turns[turn] for turn in range(STEPS // 2)] if schedule == "random" else []
    first = [1, 2, 3] if ascent == "joint" else [0, 0, 0]
    when = {"periodic": [2, 4, 6], "random": drawn, "ahead": first}[schedule]
    found, wanted = weights(trained(plan, tmp_path)), ByHand(stage, stage.method).train(when)
    assert all(torch.equal(x, found[name]) for name, x in wanted.items())


@pytest.mark.parametrize("taper", [False, True])
@pytest.mark.parametrize("ascent", ["own", "joint"])
def test_a_capped_run_is_what_it_is_by_hand(
    ascent: str, taper: bool, lwf_plan: Make, tmp_path: Path
) -> None:
    words = f"lwf.ascent={ascent}", f"lwf.taper={taper}", "lwf.max_rise=0.5"
    plan = lwf_plan(*words, *HARD, "train.eps=1e-4")
    stage = stage_for(plan, tmp_path)
    by_hand = ByHand(stage, stage.method)
    base = {name: p.detach().clone() for name, p in by_hand.net.named_parameters()}
    stage = trained(plan, tmp_path)
    found, wanted = weights(stage), by_hand.train(list(range(1, 9)))
    for name, x in wanted.items():
        assert (found[name] - x).norm() <= 1e-3 * (x - base[name]).norm(), name
    free = weights(trained(lwf_plan(words[0], "lwf.max_rise=none", *HARD), tmp_path))
    assert not all(torch.equal(x, free[name]) for name, x in found.items())


def test_what_the_push_on_an_answer_is() -> None:
    rise = torch.tensor([-2.0, 0.0, 0.25, 0.999, 1.0, 3.0])
    push = unlearning.push
    for taper in (True, False):  # without a cap there is nothing to taper to
        assert push(LWFConfig(max_rise=None, taper=taper), rise).tolist() == [1.0] * 6
    assert push(LWFConfig(max_rise=1.0, taper=False), rise).tolist() == [1, 1, 1, 1, 0, 0]
    tapered = push(LWFConfig(max_rise=2.0), rise).tolist()
    assert tapered == pytest.approx([1, 1, 0.875, 0.5005, 0.5, -0.5])


@pytest.mark.parametrize("ascent", ["own", "joint"])
@pytest.mark.parametrize("schedule", ["random", "ahead"])
def test_a_schedule_survives_a_resume(
    ascent: str, schedule: str, lwf_plan: Make, tmp_path: Path
) -> None:
    words = f"lwf.schedule={schedule}", f"lwf.ascent={ascent}"
    plan = lwf_plan(*words, "lwf.interval=2", "train.steps=8")
    whole = trained(plan, tmp_path)
    first = stage_for(plan, tmp_path)
    train(first.run, LWF(config_of(first)), tmp_path / "stopped", stop_at=5)
    second = stage_for(plan, tmp_path)
    train(second.run, LWF(config_of(second)), tmp_path / "stopped")
    assert all(torch.equal(x, weights(second)[name]) for name, x in weights(whole).items())


@pytest.mark.parametrize("variant", [name for name in LWF.variants if name != "oracle"])
def test_a_variant_changes_the_outcome(variant: str, lwf_plan: Make, tmp_path: Path) -> None:
    settings = "lwf.share=0.5", "lwf.weight=1", "lwf.temperature=1", "train.steps=6"
    words = [f"lwf.{k}={'none' if v is None else v}" for k, v in LWF.variants[variant].items()]
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


@pytest.mark.parametrize("ascent", ["own", "joint"])
def test_ascent_raises_the_loss_of_what_is_unlearned_as_far_as_the_cap(
    ascent: str, lwf_plan: Make, tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    words = f"lwf.ascent={ascent}", *HARD

    def rise(*more: str) -> tuple[float, list[dict[str, float]], CellSession]:
        stage = stage_for(lwf_plan(*words, *more), tmp_path)
        before = unlearned_loss(stage, prepared(stage).rows)
        curve = train(stage.run, stage.method, None)["curve"]
        return unlearned_loss(stage, prepared_answers(stage)) - before, curve, stage

    free, curve, stage = rise("lwf.max_rise=none")
    plan = plan_for(["finetune"], ["cola"], tiny_causal, tiny_data, *HARD[3:])
    plain = unlearned_loss(trained(plan, tmp_path), prepared_answers(stage))
    assert free > 1.5
    assert unlearned_loss(stage, prepared_answers(stage)) > plain + 0.5
    assert curve[-1]["unlearned_nll"] > curve[0]["unlearned_nll"] > 0
    assert "at_cap" not in curve[-1]
    capped, curve, _ = rise("lwf.max_rise=0.5", "lwf.taper=false")
    assert 0 < capped < free - 0.5
    shares = [point["at_cap"] for point in curve]
    assert shares[0] == 0 < max(shares) <= 1
    tapered, _, _ = rise("lwf.max_rise=0.5")
    assert tapered < free - 0.5


def test_steps_of_its_own_are_passed_over_where_all_are_at_the_cap(
    lwf_plan: Make, tmp_path: Path
) -> None:
    words = "lwf.ascent=own", *HARD
    assert adam_steps(trained(lwf_plan(*words, "lwf.max_rise=none"), tmp_path)) == 16
    assert (
        8
        < adam_steps(trained(lwf_plan(*words, "lwf.max_rise=0.2", "lwf.taper=false"), tmp_path))
        < 16
    )
    stage = trained(lwf_plan(*words, "lwf.max_rise=1e-9", "lwf.taper=false"), tmp_path)
    assert adam_steps(stage) < 16


def test_each_round_goes_through_all_answers(
    lwf_plan: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = "lwf.interval=1", "lwf.batch_size=3", "train.steps=6"
    stage = stage_for(lwf_plan(*settings), tmp_path)
    answers = AnswerSet([[2, 10 + i] for i in range(8)], [[20 + i] for i in range(8)])
    monkeypatch.setattr(stage.method, "prepare", lambda run: None)
    stage.method.load_state_dict({**answers.to_tensors(), "base": torch.zeros(8)})
    seen: list[list[int]] = []
    real = AnswerSet.batch

    def noted(self: AnswerSet, indices: Any, pad: int) -> Any:
        seen.append(list(indices))
        return real(self, indices, pad)

    monkeypatch.setattr(AnswerSet, "batch", noted)
    train(stage.run, stage.method, None)
    assert [sorted(map(len, part)) for part in (seen[:3], seen[3:])] == [[2, 3, 3]] * 2
    rounds = [list(chain(*seen[:3])), list(chain(*seen[3:]))]
    assert [sorted(order) for order in rounds] == [list(range(8))] * 2
    assert rounds[0] != rounds[1]


@pytest.mark.parametrize("ascent", ["own", "joint"])
def test_weight_zero_is_plain_fine_tuning_bit_for_bit(
    ascent: str, lwf_plan: Make, tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    plain = weights(trained(plan_for(["finetune"], ["cola"], tiny_causal, tiny_data), tmp_path))
    words = f"lwf.ascent={ascent}"
    off = weights(trained(lwf_plan(words, "lwf.weight=0"), tmp_path))
    on = weights(trained(lwf_plan(words), tmp_path))
    assert all(torch.equal(x, off[name]) for name, x in plain.items())
    assert not all(torch.equal(x, on[name]) for name, x in plain.items())


def test_not_a_number_fails_the_cell(lwf_plan: Make, tmp_path: Path) -> None:
    """The ascent says so itself: no learning step comes after the last one to notice."""
    stage = stage_for(lwf_plan(), tmp_path)
    method, answers = stage.method, kept_answers(stage)
    assert isinstance(method, LWF)
    method.rows, method.base = answers, torch.zeros(len(answers))
    stage.run.net.get_input_embeddings().weight.data.fill_(math.nan)
    with pytest.raises(CellError, match=r"loss of lwf's rows is nan at step 0 of 4; a smaller"):
        method.add_gradient(stage.run, 0)
    diverging = "train.lr=1e38", "train.schedule=constant", "train.warmup=0", "lwf.weight=0"
    with pytest.raises(CellError, match=r"the loss is (nan|inf) at step 2 of 4; a smaller"):
        trained(lwf_plan(*diverging), tmp_path)
