"""Rows that are split off to choose settings on: scored beside dev, or in its place."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from bench.board.leaderboard import boards
from bench.cells.cell import Cell
from bench.cells.measured import asked
from bench.cells.recipe import Training
from bench.core.errors import BenchError
from bench.render import terminal, tidy
from bench.rows.portions import portions
from bench.running.sequence import run_sequence
from bench.running.single import run_cell
from bench.scoring.metrics import METRICS
from bench.selfcheck.world import World, cells_of, only_cell, plan_for, stage_for, workspace_for


def test_every_method_and_seed_learns_the_same_rows(world: World, tmp_path: Path) -> None:
    data, model = world.data, world.models["encoder"]
    rows = []
    for method, seed in (("finetune", 0), ("l2sp", 5)):
        words = ("train.validation=0.2",)
        plan = plan_for([method], ["cola"], model, data, *words, first_seed=seed)
        stage = stage_for(plan, tmp_path)
        rows.append((stage.run.train_rows.ids, stage.dev["validation"].ids))
    whole = plan.material.rows["cola", str(data), "train"]
    found = portions(whole, plan.material.tasks["cola"], None, 0.2)
    expected = ([row["id"] for row in found.learned], [row["id"] for row in found.validation])
    assert rows == [expected, expected] and (len(expected[0]), len(expected[1])) == (32, 8)


def test_both_scores_are_kept_and_shown(world: World, tmp_path: Path) -> None:
    plan = plan_for(
        ["finetune"], ["rte"], world.models["encoder"], world.data, "train.validation=16"
    )
    cell = only_cell(plan)
    result, rows, _ = run_cell(cell, workspace_for(plan, tmp_path), False)
    scores = result["scores"]
    assert scores is not None and scores["primary"] == "accuracy"
    gold = dict(zip(rows["id"], zip(rows["gold"], rows["after"], strict=True), strict=True))
    own = [pair for name, pair in gold.items() if name.startswith("train")]
    assert len(own) == 16 and len(gold) == 16 + 24
    by_hand = METRICS["accuracy"].compute(*map(list, zip(*own, strict=True)))
    assert scores["after"]["validation_accuracy"] == by_hand
    assert scores["before"].keys() == scores["after"].keys()
    (board,) = boards([result])
    text = terminal.render([board], width=200)
    assert "validation" in text and "Other metrics" not in text
    (record,) = csv.DictReader(io.StringIO(tidy.to_csv(tidy.records([board]))))
    assert float(record["validation"]) == by_hand
    assert json.loads(tidy.to_json([board]))[0]["validation"] == by_hand


def test_settings_are_chosen_without_a_look_at_what_is_reported(
    world: World, tmp_path: Path
) -> None:
    """Only validation rows are scored, and the training is the same one."""
    both = world.plan("finetune", "causal", "train.validation=0.2")
    alone = world.plan("finetune", "causal", "train.validation=0.2", "train.score=validation")
    one, other = only_cell(both), only_cell(alone)
    assert one.hash == other.hash and asked(one) != asked(other)
    results = [
        run_cell(cell, workspace_for(plan, tmp_path / name), False)
        for cell, plan, name in ((one, both, "both"), (other, alone, "alone"))
    ]
    (whole, _, _), (result, rows, _) = results
    assert rows is not None
    assert whole["scores"] is not None and result["scores"] is not None
    name = "validation_matthews_correlation"
    assert result["scores"]["primary"] == name and list(result["scores"]["after"]) == [name]
    assert result["scores"]["after"][name] == whole["scores"]["after"][name]
    assert all(row.startswith("train") for row in rows["id"]) and len(rows["id"]) == 8
    parts = (result[part] for part in ("retention", "forgotten", "facts", "lm_eval"))
    assert list(parts) == [None] * 4 and whole["retention"] and whole["forgotten"]
    (board,) = boards([result])
    assert "Matthews correlation on validation rows" in terminal.render([board], width=200)


def test_stages_of_a_sequence_keep_rows_too(world: World, tmp_path: Path) -> None:
    words = ("train.validation=0.2", "train.steps=1")
    model, data = world.models["encoder"], world.data
    for score, keys in (("dev", {"average", "validation_average"}), ("validation", None)):
        given = (*words, f"train.score={score}")
        plan = plan_for(["finetune"], ["cola>rte"], model, data, *given)
        (sequence,) = plan.spec.cells()
        assert not isinstance(sequence, Cell)
        result, rows, _ = run_sequence(sequence, workspace_for(plan, tmp_path / score), False)
        scores, matrix = result["scores"], result["sequence"]
        assert scores is not None and matrix is not None
        assert scores["after"].keys() == (keys or {"validation_average"})
        assert scores["after"][scores["primary"]] == sum(matrix["matrix"][-1]) / 2
        assert any("train" in name for name in rows["id"]) == (score == "validation")
        boards([result])


def test_what_is_forgotten_is_not_validated_on(world: World, tmp_path: Path) -> None:
    """Replay of an earlier stage's task would read the rows that its score is chosen on."""
    words = ("train.validation=0.2",)
    plan = plan_for(["replay"], ["cola", "rte"], world.models["causal"], world.data, *words)
    cell = next(cell for cell in cells_of(plan) if cell.name == "cola")
    workspace = workspace_for(plan, tmp_path)
    found = workspace.portions(cell, plan.material.tasks["rte"])
    assert len(found.others) == 32 and not {r["id"] for r in found.validation} & {
        row["id"] for row in found.others
    }


def test_hashes_of_earlier_results_stay() -> None:
    assert "validation" not in Training().identity and "score" not in Training().identity
    assert Training(validation=0.1).identity["validation"] == 0.1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["validation=0.01"], "--validation 0.01: cola would have no validation rows"),
        (["validation=1"], "no validation row of cola would be of class"),
        (["validation=40"], "cola would have no training rows"),
        (["validation=1.5"], "--validation 1.5 is neither a share below 1 nor a whole number"),
        (["validation=0"], "train.validation = '0' is out of range|train.validation = 0.0 is out"),
        (["score=validation"], "--score validation: say which rows"),
        (["score=test"], "one of dev, validation"),
    ],
)
def test_mistakes(world: World, words: list[str], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        world.plan("finetune", "encoder", *(f"train.{word}" for word in words))
