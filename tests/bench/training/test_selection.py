"""Checkpoints that are chosen by a score, beside a slow look at every step of the same training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench.board.leaderboard import boards
from bench.core.errors import BenchError
from bench.planning.plan import Plan
from bench.render import terminal
from bench.running.single import run_cell
from bench.selfcheck.world import World, only_cell, plan_for, stage_for, weights, workspace_for
from bench.training.loop import train

WORDS = ("train.steps=9", "train.lr=8e-3", "train.validation=0.4", "train.eval_every=2")


def plan(world: World, *words: str, method: str = "finetune") -> Plan:
    return plan_for([method], ["rte"], world.models["causal"], world.data, *WORDS, *words)


@pytest.mark.parametrize(("way", "split"), [("validation", "validation"), ("dev", "dev")])
def test_the_weights_with_the_best_score_are_kept(
    world: World, tmp_path: Path, way: str, split: str
) -> None:
    """Scores and weights at steps 2, 4, 6, 8 and 9, of a training that is stopped at each."""
    stage = stage_for(plan(world), tmp_path / "plain")
    seen = []
    for step in (2, 4, 6, 8, 9):
        train(stage.run, stage.method, tmp_path / "checkpoint", stop_at=step)
        outputs = stage.measuring.dev_outputs(base=False)
        scores, _ = stage.measuring.task_scores(outputs)
        name = "accuracy" if split == "dev" else "validation_accuracy"
        seen.append((scores[name], step, weights(stage)))
        stage = stage_for(plan(world), tmp_path / "plain")
    best = max(score for score, *_ in seen)
    _, step, expected = next(each for each in seen if each[0] == best)
    assert len({score for score, *_ in seen}) > 1 and step < 9  # else this shows nothing
    selecting = stage_for(plan(world, f"train.select=best-on-{way}"), tmp_path / "selecting")
    record = train(selecting.run, selecting.method, None)
    assert record["selected"] == {"step": step, "score": best}
    found = weights(selecting)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("method", ["finetune", "wise_ft", "lora"])
def test_it_goes_on_where_it_stopped(world: World, tmp_path: Path, method: str) -> None:
    """2N = N + stop + resume + N, bit for bit, also behind the best step and the last."""
    given = plan(world, "train.select=best-on-validation", method=method)
    whole = stage_for(given, tmp_path / "whole")
    record = train(whole.run, whole.method, None)
    for stop in (1, 5, 9):
        folder = tmp_path / f"stopped-{stop}"
        first = stage_for(given, tmp_path / "first")
        train(first.run, first.method, folder, stop_at=stop)
        rest = stage_for(given, tmp_path / "rest")
        again = train(rest.run, rest.method, folder)
        assert again["selected"] == record["selected"] and again["resumes"] == 1
        mine, its = weights(rest), weights(whole)
        assert all(torch.equal(mine[name], its[name]) for name in its)


def test_boards_and_results_say_which(world: World, tmp_path: Path) -> None:
    given = plan(world, "train.select=best-on-dev")
    result, *_ = run_cell(only_cell(given), workspace_for(given, tmp_path), False)
    assert result["data"]["selected_step"] in (2, 4, 6, 8, 9)
    text = terminal.render(boards([result]), width=200)
    assert "weights: the best on dev, as papers do" in text
    cell = only_cell(given)
    other = only_cell(plan(world, "train.select=best-on-dev", "train.max_eval=5"))
    assert cell.training_hash != other.training_hash  # other rows, other weights
    last, fewer = only_cell(plan(world)), only_cell(plan(world, "train.max_eval=5"))
    assert last.training_hash == fewer.training_hash
    assert "select" not in only_cell(plan(world)).training.identity


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["validation=none", "select=best-on-validation"], "say which rows, as in --validation"),
        (["score=validation", "select=best-on-dev"], "looks at dev"),
        (["select=best"], "one of last, best-on-validation, best-on-dev"),
        (["eval_every=0"], "train.eval_every = 0 is out of range"),
    ],
)
def test_mistakes(world: World, words: list[str], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        plan(world, *(f"train.{word}" for word in words))
