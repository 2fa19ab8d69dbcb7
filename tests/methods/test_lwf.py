"""LWF step by step: what is elicited, how it is weighed, what is unlearned, and when."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from torch import Tensor
from torch.nn.functional import cross_entropy

from bench.data import IGNORE
from bench.errors import BenchError, CellError
from bench.fisher import Confidence
from bench.likelihood import example_losses
from bench.plan import Plan
from bench.runner import Stage, run_cell
from bench.training import train
from methods.kernels import unlearning
from methods.kernels.unlearning import AnswerSet
from methods.lwf import LWF, LWFConfig
from tests.worlds import (
    only_cell,
    plan_for,
    results,
    stage_for,
    trained,
    weights,
    workspace_for,
)

Make = Callable[..., Plan]


@pytest.fixture
def lwf_plan(tiny_causal: Path, tiny_data: Path) -> Make:
    """The plan of one LWF cell that learns CoLA and forgets RTE, with settings."""

    def plan(*settings: str, **options: Any) -> Plan:
        return plan_for(["lwf"], ["cola"], tiny_causal, tiny_data, *settings, **options)

    return plan


def config_of(stage: Stage) -> LWFConfig:
    config = stage.cell.method.config
    assert isinstance(config, LWFConfig)
    return config


def elicited(plan: Plan, folder: Path) -> AnswerSet:
    """D_self of the plan's only cell, what may not be unlearned left out."""
    return kept_answers(stage_for(plan, folder))


def kept_answers(stage: Stage) -> AnswerSet:
    answers, kept = unlearning.elicit(stage.run, config_of(stage))
    return answers.subset(kept)


def pairs(answers: AnswerSet) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    return [(tuple(p), tuple(a)) for p, a in zip(answers.prompts, answers.answers, strict=True)]


def gold_answers(stage: Stage, split: str) -> dict[tuple[int, ...], list[int]]:
    """Prompt -> gold answer of the rows of RTE, as tokens."""
    rte = stage.cell.forget[0]
    rows = stage.workspace.rows_of(rte, stage.cell.data.source, split)
    found = stage.run.encode_forget(rows, "rte", 4)
    answers = [words[label] for words, label in zip(found.answers, found.gold, strict=True)]
    return dict(zip(map(tuple, found.prompts), answers, strict=True))


# Step 1: elicit


def test_answers_depend_on_the_seed_alone(lwf_plan: Make, tmp_path: Path) -> None:
    first = elicited(lwf_plan(), tmp_path / "a")
    torch.manual_seed(99)  # the global stream is none of its business
    assert pairs(elicited(lwf_plan(), tmp_path / "b")) == pairs(first)
    assert pairs(elicited(lwf_plan(first_seed=1), tmp_path / "a")) != pairs(first)


def test_eliciting_leaves_the_random_stream_alone(lwf_plan: Make, tmp_path: Path) -> None:
    stage = stage_for(lwf_plan(), tmp_path)
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    unlearning.elicit(stage.run, config_of(stage))
    assert torch.equal(torch.rand(3), expected)


def test_prompts_are_training_rows_of_the_forgetting_task(lwf_plan: Make, tmp_path: Path) -> None:
    stage = stage_for(lwf_plan("lwf.keep=all"), tmp_path)
    assert [task.name for task in stage.cell.forget] == ["rte"]
    answers = kept_answers(stage)
    asked = set(map(tuple, answers.prompts))
    assert len(asked) > 20
    assert asked <= gold_answers(stage, "train").keys()
    assert not asked & gold_answers(stage, "dev").keys()


def test_only_wrong_answers_are_kept(lwf_plan: Make, tmp_path: Path) -> None:
    gold = gold_answers(stage_for(lwf_plan(), tmp_path), "train")
    everything = pairs(elicited(lwf_plan("lwf.keep=all"), tmp_path))
    wrong = [(p, a) for p, a in everything if list(a[: len(gold[p])]) != gold[p]]
    assert 0 < len(wrong) < len(everything)
    assert pairs(elicited(lwf_plan("lwf.keep=wrong"), tmp_path)) == wrong


def test_answers_end_where_the_model_ends_them(lwf_plan: Make, tmp_path: Path) -> None:
    stage = stage_for(lwf_plan("lwf.max_new_tokens=7", "lwf.keep=all"), tmp_path)
    answers = kept_answers(stage).answers
    special = set(stage.tokenizer.all_special_ids) - {stage.tokenizer.unk_token_id}
    assert all(0 < len(answer) <= 7 and not special & set(answer) for answer in answers)
    assert max(map(len, answers)) < 7, "the model was taught to end after its answer"


def test_nothing_to_unlearn_is_said(
    lwf_plan: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unlearning, "sample", lambda net, tok, prompts, **_: [[] for _ in prompts])
    with pytest.raises(CellError, match=r"none of the model's 24 answers .*lwf\.keep=all"):
        elicited(lwf_plan(), tmp_path)


# Step 2: forgetting confidence


def examples(stage: Stage) -> Iterator[tuple[list[int], list[int]]]:
    """The training rows as (prompt, gold answer)."""
    rows = stage.run.train_rows
    for i in range(len(rows)):
        yield rows.prompts[i], rows.answers[i][rows.gold[i]]


def gradient(net: Any, prompt: list[int], answer: list[int], reduction: str) -> list[Tensor]:
    """The gradient of one answer's loss, by the network's own forward pass."""
    ids = torch.tensor([prompt + answer])
    logits = net(input_ids=ids).logits[0, len(prompt) - 1 : -1]
    loss = cross_entropy(logits, torch.tensor(answer), reduction=reduction)
    return list(torch.autograd.grad(loss, list(net.parameters())))


@pytest.mark.parametrize(("alpha", "weighed"), [(None, True), (0.3, True), (0.3, False)])
def test_confidence_is_its_definition(
    alpha: float | None,
    weighed: bool,
    lwf_plan: Make,
    tiny_causal: Path,
    tiny_data: Path,
    tmp_path: Path,
) -> None:
    """FC(x) = ½ Σ F_L (θ0 − α g(x) − θ*)², one example at a time in float64, with F_L over all
    rows at the weights that the finetune cell ends with, or 1."""
    plain = plan_for(["finetune"], ["cola"], tiny_causal, tiny_data)
    star = {k: x.double() for k, x in weights(trained(plain, tmp_path / "plain")).items()}
    net = hf.AutoModelForCausalLM.from_pretrained(tiny_causal).double().eval()
    base = {name: p.detach().clone() for name, p in net.named_parameters()}

    words = "lwf.fisher_rows=1000", f"lwf.alpha={alpha or 'none'}", f"lwf.fisher={weighed}"
    stage = stage_for(lwf_plan(*words), tmp_path)
    net.load_state_dict(star, strict=False)
    squares = [[g.square() for g in gradient(net, p, a, "sum")] for p, a in examples(stage)]
    fisher = [torch.stack(column).mean(0) for column in zip(*squares, strict=True)]
    if not weighed:
        fisher = [torch.ones_like(f) for f in fisher]
    net.load_state_dict(base, strict=False)
    step = stage.cell.training.lr if alpha is None else alpha
    answers = kept_answers(stage)
    expected, constant = [], 0.0
    for prompt, answer in zip(answers.prompts, answers.answers, strict=True):
        g = gradient(net, prompt, answer, "mean")
        gaps = [base[name] - star[name] for name in base]
        terms = zip(fisher, gaps, g, strict=True)
        expected.append(sum(0.5 * (f * (d - step * x).square()).sum() for f, d, x in terms))
        constant = sum(
            0.5 * float((f * d.square()).sum()) for f, d in zip(fisher, gaps, strict=True)
        )
    want = torch.stack(expected)

    before = weights(stage)
    found = unlearning.confidence(stage.run, config_of(stage), answers)
    assert torch.allclose(found.value, want, rtol=1e-5, atol=0)
    change = want - constant
    assert (found.change - change).abs().max() < 1e-4 * change.abs().max()
    assert change.std() > 0.01 * change.abs().max(), "the answers must differ for this to test"
    assert all(torch.equal(x, before[name]) for name, x in weights(stage).items())


def test_theta_star_is_the_end_of_the_finetune_cell(
    lwf_plan: Make, tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    plain = weights(trained(plan_for(["finetune"], ["cola"], tiny_causal, tiny_data), tmp_path))
    star = stage_for(lwf_plan(), tmp_path / "alone").run.finetuned(None)
    assert star.keys() == plain.keys()
    assert all(torch.equal(x, star[name]) for name, x in plain.items())
    other = stage_for(lwf_plan(first_seed=1), tmp_path / "alone").run.finetuned(None)
    assert not all(torch.equal(x, other[name]) for name, x in plain.items())


def test_the_finetune_cell_leaves_its_weights_and_its_price(
    lwf_plan: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = lwf_plan(reference=True)
    trainings = []
    real = train

    def counted(run: Any, method: Any, *rest: Any) -> Any:
        trainings.append(method.name)
        return real(run, method, *rest)

    monkeypatch.setattr("bench.runner.train", counted)
    finetune, lwf = results(plan, tmp_path)
    assert trainings == ["finetune", "lwf"], "plain fine-tuning runs once for both cells"
    assert finetune["costs"] is not None
    assert lwf["costs"] is not None
    assert lwf["costs"]["prepare"] > finetune["costs"]["train"]


def test_theta_star_of_a_short_run(
    lwf_plan: Make, tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    plan = plan_for(["finetune"], ["cola"], tiny_causal, tiny_data, "train.steps=2")
    short = weights(trained(plan, tmp_path / "plain"))
    stage = stage_for(lwf_plan("lwf.theta_l_steps=2"), tmp_path)
    star = stage.run.finetuned(2)
    assert all(torch.equal(x, star[name]) for name, x in short.items())
    answers = kept_answers(stage)
    brief = unlearning.confidence(stage.run, config_of(stage), answers)
    whole = unlearning.confidence(stage.run, LWFConfig(fisher_rows=16), answers)
    assert not torch.equal(brief.change, whole.change)


# Step 3: select


CHANGES = torch.tensor([0.0, 5.0, 9.0, -2.0, 3.0, -1.0], dtype=torch.float64)
KEPT = [0, 1, 3, 4, 5]  # all but the most confident


def selected(plan: Plan, folder: Path) -> list[int]:
    stage = stage_for(plan, folder)
    return unlearning.select(stage.run, config_of(stage), Confidence(1.0, CHANGES), KEPT)


@pytest.mark.parametrize(
    ("end", "share", "best"),
    [
        ("high", 0.4, [1, 4]),
        ("high", 1.0, [1, 4, 0, 5, 3]),
        ("high", 0.01, [1]),
        ("low", 0.4, [3, 5]),
    ],
)
def test_the_share_at_one_end_is_selected(
    end: str, share: float, best: list[int], lwf_plan: Make, tmp_path: Path
) -> None:
    assert selected(lwf_plan(f"lwf.select={end}", f"lwf.share={share}"), tmp_path) == best


def test_random_answers_depend_on_the_seed(lwf_plan: Make, tmp_path: Path) -> None:
    def drawn(seed: int) -> tuple[int, ...]:
        plan = lwf_plan("lwf.select=random", "lwf.share=0.4", first_seed=seed)
        return tuple(selected(plan, tmp_path))

    found = [drawn(seed) for seed in range(8)]
    assert drawn(0) == found[0]
    assert len(set(found)) > 2
    assert all(len(set(some)) == 2 and set(some) <= set(KEPT) for some in found)


def test_prepare_selects_by_confidence(lwf_plan: Make, tmp_path: Path) -> None:
    stage = stage_for(lwf_plan("lwf.share=0.25"), tmp_path)
    method = prepared(stage)
    answers = kept_answers(stage)
    confidence = unlearning.confidence(stage.run, config_of(stage), answers).value
    count = round(0.25 * len(answers))
    best = sorted(range(len(answers)), key=lambda i: -confidence[i])[:count]
    assert set(pairs(method.unlearned)) == {pairs(answers)[i] for i in best}
    assert len(method.unlearned) == count > 1


def prepared(stage: Stage) -> LWF:
    method = stage.cell.method
    assert isinstance(method, LWF)
    method.prepare(stage.run)
    return method


# What is known to be true or not


def truth_by_tokens(text: str) -> bool | None:
    """True for a text about a cat, False for one about a dog, unknown for others."""
    return True if "cat" in text else False if "dog" in text else None


def test_what_is_known_of_the_answers_is_counted(lwf_plan: Make, tmp_path: Path) -> None:
    """AUC against all pairs of a conflicting and a true answer, counted one by one."""
    stage = stage_for(lwf_plan(), tmp_path)
    words = stage.tokenizer.convert_tokens_to_ids(["cat", "dog", "bird", "saw"])
    cat, dog, bird, saw = words
    answers = AnswerSet([[2, saw]] * 6, [[dog], [cat], [bird], [cat], [dog], [cat]])
    stage.run.truth = truth_by_tokens
    found = unlearning.judge(stage.run, answers, Confidence(1.0, CHANGES), KEPT, [1, 4, 0])
    assert found["all"] == {"answers": 6, "conflicting": 3, "true": 2}
    assert found["kept"] == {"answers": 5, "conflicting": 3, "true": 2}
    assert found["unlearned"] == {"answers": 3, "conflicting": 1, "true": 2}
    conflicting, true = CHANGES[[1, 3, 5]].tolist(), CHANGES[[0, 4]].tolist()
    won = sum(c > t for c in conflicting for t in true)
    assert found["auc"] == pytest.approx(won / 6)
    assert found["auc_kept"] == found["auc"], "the bird is neither"
    reverse = unlearning.judge(stage.run, answers, Confidence(1.0, -CHANGES), [1, 2, 3], [1])
    assert reverse["auc"] == pytest.approx(1 - won / 6)
    assert reverse["auc_kept"] is None, "no true answer is kept"
    stage.run.truth = None
    unknown = unlearning.judge(stage.run, answers, Confidence(1.0, CHANGES), KEPT, [1])
    assert unknown["all"] == {"answers": 6, "conflicting": None, "true": None}
    assert unknown["auc"] is None


def test_all_answers_are_ranked_and_some_unlearned(lwf_plan: Make, tmp_path: Path) -> None:
    stage = stage_for(lwf_plan("lwf.keep=wrong", "lwf.share=0.5"), tmp_path)
    stage.run.truth = lambda text: "yes" in text
    prepared(stage)
    found = stage.run.reported["elicited"]
    said = len(elicited(lwf_plan("lwf.keep=all"), tmp_path))
    wrong = len(elicited(lwf_plan(), tmp_path))
    assert found["all"]["answers"] == said > wrong
    assert found["kept"]["answers"] == wrong
    assert found["unlearned"]["answers"] == round(wrong / 2)
    assert 0 < found["all"]["conflicting"] < said
    assert 0 <= found["auc"] <= 1


def test_the_result_holds_what_was_elicited_after_a_resume_too(
    lwf_plan: Make, tmp_path: Path
) -> None:
    plan = lwf_plan()
    (whole,) = results(plan, tmp_path / "whole")
    assert whole["elicited"] is not None
    assert whole["elicited"]["all"]["conflicting"] is None, "only the micro world knows"
    workspace = workspace_for(plan, tmp_path / "parts")
    cell = only_cell(plan)
    train(Stage(cell, workspace).run, cell.method, workspace.checkpoint(cell), stop_at=2)
    resumed, _ = run_cell(cell, workspace, share_weights=False)
    assert resumed["provenance"]["resumes"] == 1
    assert resumed["elicited"] == whole["elicited"]


# Step 4: unlearn


def unlearned_loss(stage: Stage, answers: AnswerSet) -> float:
    """Nats per token of D_U."""
    batch = answers.batch(range(len(answers)), stage.tokenizer.pad_token_id)
    with torch.no_grad():
        losses = example_losses(stage.run.task_model, batch)
    return float(losses.sum() / (batch.targets != IGNORE).sum())


def adam_steps(stage: Stage) -> int:
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


def test_ascent_raises_the_loss_of_what_is_unlearned(
    lwf_plan: Make, tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    settings = "lwf.weight=20", "lwf.interval=1", "train.steps=8", "train.lr=2e-3"
    stage = stage_for(lwf_plan(*settings), tmp_path)
    before = unlearned_loss(stage, prepared(stage).unlearned)
    curve = train(stage.run, stage.cell.method, None)["curve"]
    after = unlearned_loss(stage, prepared_answers(stage))
    plan = plan_for(["finetune"], ["cola"], tiny_causal, tiny_data, *settings[2:])
    plain = unlearned_loss(trained(plan, tmp_path), prepared_answers(stage))
    assert after > before + 0.5
    assert after > plain + 0.5
    assert [point["unlearned_nll"] for point in curve][-1] > curve[0]["unlearned_nll"] > 0


def prepared_answers(stage: Stage) -> AnswerSet:
    method = stage.cell.method
    assert isinstance(method, LWF)
    return method.unlearned


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
    monkeypatch.setattr(stage.cell.method, "prepare", lambda run: None)
    stage.cell.method.load_state_dict(answers.to_tensors())
    seen: list[list[int]] = []
    real = AnswerSet.batch

    def noted(self: AnswerSet, indices: Any, pad: int) -> Any:
        seen.append(list(indices))
        return real(self, indices, pad)

    monkeypatch.setattr(AnswerSet, "batch", noted)
    train(stage.run, stage.cell.method, None)
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


@pytest.mark.parametrize("count", [0, 1, 5])
def test_the_state_goes_round(count: int) -> None:
    answers = AnswerSet(
        [[2, *range(i)] for i in range(count)], [[9] * (i + 1) for i in range(count)]
    )
    method = LWF(LWFConfig())
    method.unlearned = copy.deepcopy(answers)
    other = LWF(LWFConfig())
    other.load_state_dict(method.state_dict())
    assert other.unlearned == answers


def test_refused_on_an_encoder(tiny_encoder: Path, tiny_data: Path) -> None:
    with pytest.raises(BenchError) as caught:
        plan_for(["lwf"], ["cola"], tiny_encoder, tiny_data)
    assert "lwf" in str(caught.value)
    assert "is an encoder, which cannot generate" in str(caught.value)
    assert "Choose a causal model with --model" in str(caught.value)
