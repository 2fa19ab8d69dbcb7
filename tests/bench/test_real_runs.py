"""Every task that the machine has whole, trained briefly and scored with both kinds of model."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from bench.registry import TASKS, load_builtin
from bench.runner import run_cell
from tasks.base import SPLITS
from tasks.sources import available, load_rows
from tests.worlds import only_cell, plan_for, workspace_for

load_builtin()
HERE = ("sst5", "gsm8k", "psychol", "cola", "sst2", "stsb", "mrpc", "rte")
SMALL = ("train.steps=2", "train.max_train=32", "train.max_eval=6", "train.forget_rows=4")


def test_these_are_all(shared_data: Path) -> None:
    there = [name for name in TASKS.names() if available(TASKS.get(name), str(shared_data))]
    assert tuple(there) == HERE


def test_numbers_of_rows_that_lists_show_without_a_mark(shared_data: Path) -> None:
    counted = [
        (name, split, rows)
        for name in TASKS.names()
        for split, rows in zip(SPLITS, TASKS.get(name).rows or (), strict=False)
        if split in TASKS.get(name).counted
    ]
    assert len(counted) == 16
    for name, split, rows in counted:
        assert len(load_rows(TASKS.get(name), str(shared_data), split)) == rows


@pytest.mark.parametrize("name", HERE)
@pytest.mark.parametrize("kind", ["causal", "encoder"])
def test_a_short_run(
    shared_data: Path, shared_model: Path, tmp_path: Path, name: str, kind: str
) -> None:
    if kind == "encoder" and TASKS.get(name).kind == "generation":
        pytest.skip(f"an encoder cannot answer {name}")
    model = shared_model if kind == "causal" else Path("micro-encoder")
    forget = ["cola" if name == "rte" else "rte"]
    plan = plan_for(["finetune"], [name], model, shared_data, *SMALL, forget=forget)
    result, rows = run_cell(only_cell(plan), workspace_for(plan, tmp_path), False)
    assert result["scores"] is not None and result["drift"]
    for when in ("before", "after"):
        assert all(map(math.isfinite, result["scores"][when].values()))  # type: ignore[literal-required]
    assert len(rows["after"]) == 6
    assert (result["forgotten"] is None) is (kind == "encoder")
