"""Negative transfer against figures worked out by hand."""

from __future__ import annotations

import json

import pytest

from bench.board.leaderboard import Board, boards
from bench.board.statistics import estimate
from bench.cells.result import Ceiling, CellResult
from bench.render import markdown, terminal, tidy
from tests.helpers.made_up import result

TWIN = {"kind": "causal", "hash": "fedcba9876543210"}
PLAIN, CLEAN, EWC = (0.50, 0.54, 0.52), (0.70, 0.76, 0.70), (0.60, 0.59, 0.61)


def cells(plain: tuple[float, ...] = PLAIN, clean: tuple[float, ...] = CLEAN) -> list[CellResult]:
    """finetune and ewc on "mixed-up", finetune on its twin "clear", a seed each."""
    ceiling = Ceiling(rows=10, answers=2, before=0.7, after=0.6)
    made = [
        result(method, seed=s, after=x, model_name="mixed-up", twin="clear") | {"ceiling": ceiling}
        for method, scores in (("finetune", plain), ("ewc", EWC))
        for s, x in enumerate(scores)
    ]
    made += [
        result(seed=s, after=x, model_name="clear", model=TWIN, before=0.3)
        for s, x in enumerate(clean)
    ]
    return made


def conflicted(results: list[CellResult]) -> Board:
    """The board of the model that has a twin."""
    (board,) = (board for board in boards(results) if board.model == "mixed-up")
    return board


def test_by_hand() -> None:
    (found,) = conflicted(cells()).transfers
    assert (found.task, found.twin, found.metric) == ("cola", "clear", "matthews_correlation")
    assert found.negative == estimate([c - p for c, p in zip(CLEAN, PLAIN, strict=True)])
    assert found.before == estimate([0.25] * 3) and found.twin_before == estimate([0.3] * 3)
    assert found.after == estimate(PLAIN) and found.twin_after == estimate(CLEAN)
    # gains 0.10, 0.05, 0.09 of losses 0.20, 0.22, 0.18: 0.4 of them, but for 0.02, -0.038, 0.018
    share = found.recovered["ewc"]
    assert share.mean == pytest.approx(0.08 / 0.2)
    rest = estimate([0.02, -0.038, 0.018])
    assert rest and rest.half and share.half == pytest.approx(rest.half / 0.2)


def test_what_is_told_the_truth_comes_first() -> None:
    told = [
        result("lwf", seed=s, after=x, model_name="mixed-up", twin="clear", label="lwf:oracle")
        for s, x in enumerate(EWC)
    ]
    page = terminal.render([conflicted([*cells(), *told])], "utf-8", 200)
    (line,) = [line for line in page.splitlines() if "transfer" in line and "ewc" in line]
    assert line.index("lwf:oracle") < line.index("ewc")


def test_seeds_that_are_not_shared_are_left_out() -> None:
    gone = [r for r in cells() if (r["cell"]["method"], r["cell"]["seed"]) != ("ewc", 1)]
    (found,) = conflicted(gone).transfers
    assert found.negative is not None and found.negative.n == 3
    assert found.recovered["ewc"].mean == pytest.approx((0.10 + 0.09) / (0.20 + 0.18))
    assert found.recovered["ewc"].n == 2


def test_no_share_of_a_transfer_that_may_be_zero() -> None:
    (found,) = conflicted(cells(clean=(0.70, 0.40, 0.60))).transfers
    assert found.negative is not None and found.negative.mean > 0
    assert found.recovered == {}
    (alone,) = conflicted([r for r in cells() if r["cell"]["seed"] == 0]).transfers
    assert alone.recovered == {}


def test_a_share_needs_more_than_a_hair_above_zero() -> None:
    barely = conflicted(cells(clean=(0.70, 0.60, 0.60)))  # 0.20, 0.06, 0.08: 0.11 +- 0.19
    (found,) = barely.transfers
    assert found.negative is not None and found.negative.half is not None
    assert found.recovered == {}
    close = conflicted(cells(clean=(0.60, 0.60, 0.60)))  # 0.10, 0.06, 0.08: 0.08 +- 0.05
    (found,) = close.transfers
    assert found.negative is not None and found.negative.half is not None
    assert found.negative.half < found.negative.mean < 2 * found.negative.half
    assert found.recovered == {}


def test_two_models_of_the_twins_name_are_not_mixed() -> None:
    older = [
        r | {"cell": r["cell"] | {"model": TWIN | {"hash": "an older one"}}, "hash": f"{n}"}
        for n, r in enumerate(cells())
        if r["labels"]["model"] == "clear"
    ]
    assert not conflicted([*cells(), *older]).transfers  # type: ignore[list-item]


def test_only_a_twin_in_the_same_setting_counts() -> None:
    assert not conflicted([r for r in cells() if r["labels"]["model"] != "clear"]).transfers
    other = [
        r | {"cell": r["cell"] | {"training": {"lr": 1.0}}} if "twin" not in r["labels"] else r
        for r in cells()
    ]
    assert not conflicted(other).transfers  # type: ignore[arg-type]
    assert all(not board.transfers for board in boards(cells()) if board.model == "clear")


def test_the_table_in_each_form() -> None:
    made = boards(cells())
    title = "Negative transfer ×100: finetune of clear (the twin) less finetune of mixed-up"
    line = ["CoLA", "3", "25.00", "30.00", "52.00", "72.00", "+20.00", "±4.97"]
    line += ["70", "60", "+40", "±41"]
    wide = terminal.render(made, "utf-8", 200)
    assert title in wide
    assert line in [row.split() for row in wide.splitlines()]
    assert "CoLA: of two answers, to unlearn the one is to learn the other" in wide
    assert f"| {' | '.join(line)} |" in markdown.render(made)
    rows = {(r["model"], r["method"]): r for r in json.loads(tidy.to_json(made))}
    ewc = rows["mixed-up", "ewc"]
    assert ewc["negative_transfer"] == pytest.approx(0.2)
    assert (ewc["recovered"], ewc["ceiling"]) == pytest.approx((0.4, 0.7))
    assert rows["clear", "finetune"]["negative_transfer"] is None
