"""What boards say of elicited answers, against figures worked out by hand."""

from __future__ import annotations

import pytest

from bench.board.leaderboard import boards
from bench.board.statistics import estimate
from bench.cells.result import CellResult, Judged, Ranked
from bench.render import markdown, terminal
from tests.helpers.made_up import result


def judged(answers: int, conflicting: int | None, true: int | None) -> Judged:
    return {"answers": answers, "conflicting": conflicting, "true": true}


def lwf(
    seed: int, everything: Judged, kept: Judged, unlearned: Judged, auc: float | None
) -> CellResult:
    made = result("lwf", seed=seed)
    made["elicited"] = {
        "all": everything, "kept": kept, "unlearned": unlearned, "auc": auc, "auc_kept": None,
    }  # fmt: skip
    return made


def test_by_hand() -> None:
    cells = [
        result(),
        lwf(0, judged(100, 30, 50), judged(20, 15, 0), judged(10, 6, 3), 0.75),
        lwf(1, judged(100, 40, 40), judged(20, 10, 0), judged(10, 0, 0), None),
    ]
    (board,) = boards(cells)
    (found,) = board.elicitations
    assert (found.title, found.method) == ("CoLA", "lwf")
    assert found.answers == estimate([100, 100])
    assert found.true == estimate([0.5, 0.4])
    assert found.conflicting == estimate([0.3, 0.4])
    assert found.kept == estimate([0.75, 0.5])
    assert found.unlearned == estimate([0.6, 0.0])
    line = ["CoLA", "lwf", "2", "100", "45", "35", "62", "30"]
    assert line in [row.split() for row in terminal.render([board]).splitlines()]
    assert f"| {' | '.join(line)} |" in markdown.render([board])
    assert board.rankings == (), "results of before 0.5.0 have no ranking"


def ranked(auc: float | None, auc_rise: float | None) -> Ranked:
    return {"answers": 9, "conflicting": 3, "auc": auc, "auc_rise": auc_rise}


def test_rankings_by_hand() -> None:
    """On data of unknown truth too; a seed without a value is no zero."""
    cells = [result()]
    unknown = judged(9, None, None)
    for seed, taught in enumerate((ranked(0.75, 1.0), ranked(None, None), None)):
        cell = lwf(seed, unknown, unknown, unknown, None)
        assert cell["elicited"] is not None
        cell["elicited"]["weighed"] = {
            "rise_kept": 0.5 + seed, "rise_unlearned": 1.0, "rank_rise": None,
            "rank_limit": 0.25 * seed, "taught": taught, "untaught": ranked(0.25, 0.5),
        }  # fmt: skip
        cells.append(cell)
    (board,) = boards(cells)
    assert board.elicitations == ()
    (found,) = board.rankings
    assert (found.title, found.method) == ("CoLA", "lwf")
    assert found.kept == estimate([0.5, 1.5, 2.5]) and found.unlearned == estimate([1.0] * 3)
    assert found.rise is None and found.limit == estimate([0.0, 0.25, 0.5])
    assert found.taught == estimate([0.75]) and found.taught_rise == estimate([1.0])
    assert found.untaught == estimate([0.25] * 3) and found.untaught_rise == estimate([0.5] * 3)
    line = ["CoLA", "lwf", "3", "+1.50", "+1.00", "-", "+0.25", "0.75", "1.00", "0.25", "0.50"]
    assert line in [row.split() for row in terminal.render([board]).splitlines()]
    assert f"| {' | '.join(line)} |" in markdown.render([board])


@pytest.mark.parametrize("unknown", [None, judged(100, None, None)])
def test_nothing_where_the_truth_is_unknown(unknown: Judged | None) -> None:
    cells = [
        result(),
        result("lwf") if unknown is None else lwf(0, unknown, unknown, unknown, None),
    ]
    (board,) = boards(cells)
    assert board.elicitations == ()
    assert "AUC" not in terminal.render([board])
