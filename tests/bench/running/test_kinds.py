"""A cell of each kind of task, in the micro world."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from bench.running.single import run_cell
from bench.selfcheck.world import only_cell, plan_for, workspace_for

SMALL = ("train.steps=2", "train.max_eval=6", "train.max_train=32", "train.forget_rows=4")


def cell_of(task: str, model: str, forget: str, folder: Path, method: str = "finetune") -> Any:
    """Result and rows of a cell of two steps."""
    plan = plan_for([method], [task], Path(model), Path("micro"), *SMALL, forget=[forget])
    result, rows, _ = run_cell(only_cell(plan), workspace_for(plan, folder), False)
    json.dumps([result, rows], allow_nan=False)
    return result, rows


@pytest.mark.parametrize(
    ("task", "model", "metrics"),
    [
        ("stsb", "micro", ["pearson", "spearman"]),
        ("stsb", "micro-encoder", ["pearson", "spearman"]),
        ("qasc", "micro", ["accuracy", "accuracy_norm"]),
        ("qasc", "micro-encoder", ["accuracy"]),
        ("gsm8k", "micro", ["exact_match"]),
    ],
)
def test_a_cell(task: str, model: str, metrics: list[str], tmp_path: Path) -> None:
    result, rows = cell_of(task, model, "sst5", tmp_path)
    for when in ("before", "after"):
        assert list(result["scores"][when]) == metrics
        assert all(map(math.isfinite, result["scores"][when].values()))
        assert len(rows[when]) == len(rows["gold"]) == 6
    assert result["drift"] > 0
    answered = {"stsb": float, "qasc": int, "gsm8k": str}[task]
    assert all(type(value) is answered for value in rows["gold"] + rows["after"])
    assert (result["flips"] is None) is (task == "stsb")


@pytest.mark.parametrize(("forget", "judged"), [("qasc", True), ("gsm8k", True), ("stsb", False)])
def test_each_kind_can_be_forgotten(forget: str, judged: bool, tmp_path: Path) -> None:
    result, _ = cell_of("sst5", "micro", forget, tmp_path, "lwf")
    lost = result["forgotten"]
    assert lost["tasks"] == [forget]
    assert math.isfinite(lost["loss_after"]) and lost["loss_after"] != lost["loss_before"]
    assert (lost["accuracy_after"] is not None) is judged
    assert result["elicited"]["all"]["answers"] > 0
