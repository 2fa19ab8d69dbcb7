"""Learning curves of scores: they change no training, go on where it stopped, and are cheap."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench.planning.plan import Plan
from bench.running.probing import FEWEST_ROWS, Probing, probing
from bench.running.session import CellSession
from bench.running.single import run_cell
from bench.scoring.predictions import gold_loss
from bench.selfcheck.world import World, only_cell, plan_for, stage_for, weights, workspace_for
from bench.training.loop import TrainingRecord, train

WORDS = ("train.steps=5", "train.lr=8e-3")


def plan(world: World, every: int | None, method: str = "finetune", kind: str = "causal") -> Plan:
    words = (*WORDS, f"train.eval_every={every}") if every else WORDS
    return plan_for([method], ["rte"], world.models[kind], world.data, *words)


def watched(stage: CellSession) -> Probing:
    """The stage's probe, for a training without its session."""
    found = probing(stage.measuring, *stage.shown)
    stage.run.probe = found
    return found


def points(record: TrainingRecord) -> list[int]:
    return [look["point"]["step"] for look in record["probe"]]


@pytest.mark.parametrize(("method", "kind"), [("lwf", "causal"), ("mixout", "encoder")])
def test_the_training_is_the_same_with_and_without(
    world: World, tmp_path: Path, method: str, kind: str
) -> None:
    found = []
    for every in (None, 2):
        given = plan(world, every, method, kind)
        stage = stage_for(given, tmp_path / f"{every}")
        stage.measuring.measure(True, ("scores", "retention"))
        record = stage.learn(tmp_path / f"checkpoint-{every}", False, None, every is not None)
        after = stage.measuring.dev_outputs(base=False)
        found.append((weights(stage), after, record["curve"]))
    assert points(record) == [0, 2, 4, 5]
    (mine, answers, curve), (its, others, curve_too) = found
    assert all(torch.equal(mine[name], its[name]) for name in its)
    assert answers == others and curve == curve_too


def test_a_stopped_training_goes_on_with_its_points(world: World, tmp_path: Path) -> None:
    whole = stage_for(plan(world, 2), tmp_path / "whole")
    watched(whole)
    record = train(whole.run, whole.method, None)
    for stop in (1, 2, 5):
        folder = tmp_path / f"stopped-{stop}"
        for end in (stop, None):
            stage = stage_for(plan(world, 2), tmp_path / "part")
            watched(stage)
            again = train(stage.run, stage.method, folder, stop_at=end)
        assert again["probe"] == record["probe"] and again["resumes"] == 1
        mine, its = weights(stage), weights(whole)
        assert all(torch.equal(mine[name], its[name]) for name in its)


def test_the_result_holds_what_a_slow_look_finds(world: World, tmp_path: Path) -> None:
    """The points at the ends, of a probe that has room for all rows, are the cell's own scores."""
    given = plan(world, 5000)
    result, *_ = run_cell(only_cell(given), workspace_for(given, tmp_path), False)
    probe, scores, retention = result["probe"], result["scores"], result["retention"]
    assert probe is not None and scores is not None and retention is not None
    assert probe["rows"] == result["data"]["dev_rows"] and probe["tokens"] == retention["tokens"]
    assert [point["step"] for point in probe["points"]] == [0, 5]
    for point, when in zip(probe["points"], ("before", "after"), strict=True):
        assert point["score"] == scores[when]["accuracy"]  # type: ignore[literal-required]
        assert point["retention"] == pytest.approx(retention[when])  # type: ignore[literal-required]
    assert result["measured"]["probe"]["every"] == 5000
    stage = stage_for(given, tmp_path)
    loss = gold_loss(stage.shown[1], stage.measuring.dev_outputs(base=True)["dev"])
    assert probe["points"][0]["loss"] == pytest.approx(loss)


def test_rows_and_text_are_a_twentieth_of_the_training(world: World, tmp_path: Path) -> None:
    """Tokens of a look by those of the steps between two, of which each is read three times."""
    every = 60
    stage = stage_for(plan(world, every), tmp_path)
    found = watched(stage)
    train_rows, rows = stage.run.train_rows, found.rows
    mean = sum(map(train_rows.length, range(len(train_rows)))) / len(train_rows)
    between = 3 * every * stage.cell.training.batch_size * mean
    read = sum(
        len(rows.prompts[i]) + len(answer) for i in range(len(rows)) for answer in rows.answers[i]
    )
    text = found.result([])["tokens"]
    assert FEWEST_ROWS < len(rows) < len(stage.shown[1])
    assert 0.02 < (read + text) / between < 0.055
    few = stage_for(plan(world, 1), tmp_path)
    assert len(watched(few).rows) == FEWEST_ROWS
