"""Two folders side by side: what changed, which cells pair, and what bench.render.comparison says;
p-values against scipy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scipy.stats import ttest_rel

from bench.board.comparison import changes, compare, settings_of
from bench.cells.result import CellResult, Predictions
from bench.cells.store import Store
from bench.render.comparison import page
from bench.render.terminal import page_text
from tests.conftest import Run
from tests.helpers.made_up import predictions, result

TRAINING = {"lr": 0.0005, "steps": 100, "max_train": None}
A, B = [0.5, 0.53, 0.48, 0.51], [0.61, 0.66, 0.58, 0.6]


def cells(values: list[float], method: str = "lwf", **parts: Any) -> list[CellResult]:
    return [result(method, seed=seed, after=v, **parts) for seed, v in enumerate(values)]


def test_a_changed_setting_is_said_and_what_it_did_is_tested() -> None:
    mine = cells(A, settings={"interval": 4, "keep": 1}) + cells(A, "ewc")
    its = cells(B, settings={"interval": 8, "keep": 1}, training={**TRAINING, "lr": 0.01})
    its += cells(A, "ewc", training={**TRAINING, "lr": 0.01})
    found = compare(mine, its)
    assert found.changed == ("lwf.interval: 4 -> 8", "train.lr: 0.0005 -> 0.01")
    assert found.alone == ()
    ewc, lwf = found.rows
    got = lwf.found["after"]
    assert got is not None and got.p == pytest.approx(ttest_rel(B, A).pvalue)
    assert got.difference.mean == pytest.approx(sum(B) / 4 - sum(A) / 4)
    # ewc's differences are all 0, whose p is 1: Holm doubles that of lwf
    assert got.p_holm == pytest.approx(2 * ttest_rel(B, A).pvalue)
    assert lwf.means["after"] == pytest.approx((sum(A) / 4, sum(B) / 4))
    assert (lwf.words["after"], ewc.words["after"]) == ("better", "the same")
    assert compare(its, mine).rows[1].words["after"] == "worse"


def test_cells_pair_by_what_has_several_values() -> None:
    both = [*cells(A, settings={"keep": 1}), *cells(B, settings={"keep": 2})]
    found = compare(both, both)
    assert [row.words["after"] for row in found.rows] == ["the same", "the same"]
    assert [row.found["after"].difference.n for row in found.rows if row.found["after"]] == [4, 4]
    one = compare(cells(A, settings={"keep": 2}), both)  # keep has two values on a side
    (row,) = one.rows
    assert row.found["after"] is not None
    assert row.found["after"].difference.mean == pytest.approx(sum(B) / 4 - sum(A) / 4)
    assert one.alone == ("in B alone: 4 cells of lwf (cola)",)
    # models never pair, and other seeds do not
    other = cells(A, model={"kind": "causal", "hash": "x"})
    assert compare(cells(A), other).rows == ()
    assert compare(cells(A), other).changed == ("model.hash: 0123456789abcdef -> x",)
    few = compare(cells(A), cells(A)[:2])
    assert few.alone == ("in A alone: 2 cells of lwf (cola)",)


def test_what_is_not_the_default_on_one_side_is_said_and_pairs_by_itself() -> None:
    split = {**TRAINING, "validation": 0.25, "select": "best-on-validation"}
    found = compare(cells(A), cells(B, training=split))
    assert found.changed == (
        "train.select: last -> best-on-validation", "train.validation: none -> 0.25",
    )  # fmt: skip
    both = [*cells(A), *cells(B, training=split)]
    (row,) = compare(cells(A), both).rows
    assert row.words["after"] == "the same"
    assert [row.words["after"] for row in compare(both, both).rows] == ["the same"] * 2


def test_failed_cells_have_no_partner() -> None:
    broken = [*cells(A)[:3], result("lwf", seed=3, error="no")]
    found = compare(cells(A), broken)
    assert found.rows[0].found["after"] is not None
    assert found.rows[0].found["after"].difference.n == 3
    assert found.alone == ("in A alone: 1 cells of lwf (cola)",)


def test_of_one_seed_the_answers_are_tested() -> None:
    mine, its = cells([0.5]), cells([0.75], training={**TRAINING, "lr": 0.01})
    for cell in (*mine, *its):
        cell["data"]["dev_rows"] = 2

    def wrong(cell: CellResult) -> Predictions:
        return {**predictions(cell), "after": [1, 0]}

    (row,) = compare(mine, its, (wrong, predictions)).rows
    assert row.answers == (2, 0, 0.5) and row.words["after"] == "one seed"
    text = page_text(page(compare(mine, its, (wrong, predictions)), Path("a"), Path("b")))
    assert "one seed: 2 and 0 rows, p 0.5" in text


def test_settings_come_before_hashes() -> None:
    old = {"task_hash": "a" * 64, "train.lr": 1, "suite_version": "1", "model.hash": "x"}
    new = {"task_hash": "b" * 64, "train.lr": None, "suite_version": "2", "model.hash": "y"}
    assert changes(old, new) == [
        "train.lr: 1 -> none",
        "suite_version: 1 -> 2",
        "model.hash: x -> y",
        f"task_hash: {'a' * 12} -> {'b' * 12}",
    ]


def test_what_is_only_measured_is_no_setting() -> None:
    """Identities before 0.5.0 had it, and the forgetting tasks of methods that read none."""
    nothing = {"forget": {"tasks": [], "hash": ""}}
    old = result(training={**TRAINING, "max_eval": 9}, retention={"hash": "x"}, lm_eval=[])
    new = result(training=TRAINING, **nothing)
    assert changes(settings_of(old), settings_of(new)) == []
    assert compare([old], [new]).changed == () and compare([old], [new]).alone == ()
    other = result(training={**TRAINING, "max_eval": 8}, forget={"tasks": ["sst2"], "hash": "y"})
    assert changes(settings_of(old), settings_of(other)) == [
        "forget.tasks: rte -> sst2",
        "train.max_eval: 9 -> 8",
        "forget.hash: rows-['rte'] -> y",
    ]


def test_on_the_command_line_it_fits_the_window(tmp_path: Path, run: Run) -> None:
    for name, values, lr in (("a", A, 0.0005), ("b", B, 0.01)):
        for cell in cells(values, training={**TRAINING, "lr": lr}):
            Store(tmp_path / name).write(cell, predictions(cell))
    code, out, _ = run("compare", tmp_path / "a", tmp_path / "b")
    assert code == 0 and "changed: train.lr: 0.0005 -> 0.01" in out
    line = next(line for line in out.splitlines() if line.startswith("CoLA"))
    assert line.split()[:6] == ["CoLA", "lwf", "4", "50.50", "61.25", "+10.75"]
    assert line.endswith("better") and max(map(len, out.splitlines())) <= 100
    code, out, _ = run("compare", tmp_path / "a", tmp_path / "a")
    assert code == 0 and "no setting changed" in out and "the same" in out
    code, _, err = run("compare", tmp_path / "a", tmp_path / "nowhere")
    assert code == 2 and "nowhere is not a folder" in err
