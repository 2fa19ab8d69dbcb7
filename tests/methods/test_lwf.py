"""LWF: what is elicited from the base model, what is known of it, and what is kept."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from bench.core.errors import BenchError, CellError
from bench.selfcheck.world import plan_for, stage_for
from methods.lwf import unlearning
from methods.lwf.method import LWF
from methods.lwf.settings import LWFConfig
from methods.shared.answers import AnswerSet
from tests.helpers.lwf_cells import Make, config_of, elicited, gold_answers, kept_answers, pairs


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
    assert [task.name for task in stage.run.forget] == ["rte"]
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
