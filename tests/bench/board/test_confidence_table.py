"""What boards say of elicited answers, against figures worked out by hand."""

from __future__ import annotations

import pytest

from bench.board.leaderboard import boards
from bench.board.statistics import estimate
from bench.cells.result import CellResult, Judged
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
    assert found.auc == estimate([0.75])
    line = ["CoLA", "lwf", "2", "100", "45", "35", "62", "30", "0.750"]
    assert line in [row.split() for row in terminal.render([board]).splitlines()]
    assert f"| {' | '.join(line)} |  |" in markdown.render([board])


@pytest.mark.parametrize("unknown", [None, judged(100, None, None)])
def test_nothing_where_the_truth_is_unknown(unknown: Judged | None) -> None:
    cells = [
        result(),
        result("lwf") if unknown is None else lwf(0, unknown, unknown, unknown, None),
    ]
    (board,) = boards(cells)
    assert board.elicitations == ()
    assert "AUC" not in terminal.render([board])
