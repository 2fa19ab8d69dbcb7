"""LWF: what is elicited from the base model, what is known of it, and what is kept."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.core.errors import BenchError, CellError
from bench.rows.source import Folder
from bench.selfcheck.world import plan_for, stage_for
from methods.lwf import elicitation
from methods.lwf.method import LWF
from methods.lwf.settings import LWFConfig
from methods.shared import auxiliary_rows
from methods.shared.answers import AnswerSet
from tests.helpers.lwf_cells import (
    Make,
    config_of,
    elicited,
    gold_answers,
    kept_answers,
    pairs,
    prepared,
)

SAMPLED = "lwf.temperature=1"


def test_answers_depend_on_the_seed_alone(lwf_plan: Make, tmp_path: Path) -> None:
    first = elicited(lwf_plan(SAMPLED), tmp_path / "a")
    torch.manual_seed(99)  # the global stream is none of its business
    assert pairs(elicited(lwf_plan(SAMPLED), tmp_path / "b")) == pairs(first)
    assert pairs(elicited(lwf_plan(SAMPLED, first_seed=1), tmp_path / "a")) != pairs(first)


def test_answers_are_greedy_unless_a_temperature_is_set(lwf_plan: Make, tmp_path: Path) -> None:
    """Against the network's own likeliest token, one after the other."""
    stage = stage_for(lwf_plan("lwf.keep=all"), tmp_path)
    answers, net, tokenizer = kept_answers(stage), stage.run.net, stage.tokenizer
    for prompt, answer in pairs(answers):
        said: list[int] = []
        while len(said) < 4:
            with torch.no_grad():
                logits = net(input_ids=torch.tensor([[*prompt, *said]])).logits[0, -1]
            if (token := int(logits.argmax())) == tokenizer.eos_token_id:
                break
            said.append(token)
        assert list(answer) == said
    sampled = kept_answers(stage_for(lwf_plan("lwf.keep=all", SAMPLED), tmp_path))
    assert [p for p, _ in pairs(sampled)] == [p for p, _ in pairs(answers)]
    assert pairs(sampled) != pairs(answers)


def test_eliciting_leaves_the_random_stream_alone(lwf_plan: Make, tmp_path: Path) -> None:
    stage = stage_for(lwf_plan(SAMPLED), tmp_path)
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    elicitation.elicit(stage.run, config_of(stage))
    assert torch.equal(torch.rand(3), expected)


def test_prompts_are_training_rows_of_the_forgetting_task(lwf_plan: Make, tmp_path: Path) -> None:
    stage = stage_for(lwf_plan("lwf.keep=all"), tmp_path)
    assert [task.name for task in stage.run.forget] == ["rte"]
    answers = kept_answers(stage)
    asked = set(map(tuple, answers.prompts))
    assert len(asked) > 20
    assert asked <= gold_answers(stage, "train").keys()
    assert not asked & gold_answers(stage, "dev").keys()


def test_prompts_come_from_the_rows_set_apart_for_them(
    lwf_plan: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a source has such rows: training rows do not show all that there is to unlearn."""
    monkeypatch.setattr(Folder, "prompt_split", lambda self, task: "dev")
    stage = stage_for(lwf_plan("lwf.keep=all"), tmp_path)
    asked = set(map(tuple, kept_answers(stage).prompts))
    assert asked and asked <= gold_answers(stage, "dev").keys()
    assert not asked & gold_answers(stage, "train").keys()


def test_the_cells_of_a_grid_share_answers_and_their_losses(
    lwf_plan: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over all variants; each is charged for both."""
    calls = []
    for module, name in ((elicitation, "_elicit"), (auxiliary_rows, "losses_now")):
        real = getattr(module, name)

        def noted(run: Any, *rest: Any, name: str = name, real: Any = real) -> Any:
            calls.append(name)
            return real(run, *rest)

        monkeypatch.setattr(module, name, noted)
    for word in ("select=high", "select=all", "select=random", "fisher=false", "schedule=ahead"):
        stage = stage_for(lwf_plan(f"lwf.{word}"), tmp_path)
        saved = stage.cache.saved_seconds
        prepared(stage)
        assert calls == ["_elicit", "losses_now"]
        assert word == "select=high" or stage.cache.saved_seconds > saved


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
    monkeypatch.setattr(elicitation, "greedy", lambda net, tok, prompts, **_: [[] for _ in prompts])
    with pytest.raises(CellError, match=r"none of the model's 24 answers .*lwf\.keep=all"):
        elicited(lwf_plan(), tmp_path)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_the_state_goes_round(count: int) -> None:
    answers = AnswerSet(
        [[2, *range(i)] for i in range(count)], [[9] * (i + 1) for i in range(count)]
    )
    method = LWF(LWFConfig())
    method.rows, method.base = copy.deepcopy(answers), torch.rand(count)
    other = LWF(LWFConfig())
    other.load_state_dict(method.state_dict())
    assert other.rows == answers
    assert torch.equal(other.base, method.base)


def test_refused_on_an_encoder(tiny_encoder: Path, tiny_data: Path) -> None:
    with pytest.raises(BenchError) as caught:
        plan_for(["lwf"], ["cola"], tiny_encoder, tiny_data)
    assert "lwf" in str(caught.value)
    assert "is an encoder, which cannot generate" in str(caught.value)
    assert "Choose a causal model with --model" in str(caught.value)
