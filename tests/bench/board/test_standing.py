"""Methods over all tasks, against figures worked out by hand."""

from __future__ import annotations

import pytest
from scipy import stats as scipy_stats

from bench.board.leaderboard import boards
from bench.board.standing import standings
from bench.render import terminal, tidy
from tests.bench.board.test_leaderboard import SCORES, grid, without


def test_ranks_and_pairs_by_hand() -> None:
    found = {one.method: one for one in standings(SCORES, "finetune")}
    assert [one.method for one in standings(SCORES, "finetune")] == ["lwf", "ewc", "finetune"]
    # cola: lwf, ewc, finetune; rte: ewc, finetune, lwf
    assert {name: one.rank for name, one in found.items()} == {
        "finetune": 2.5, "ewc": 1.5, "lwf": 2.0,
    }  # fmt: skip
    assert {name: one.borda for name, one in found.items()} == {
        "finetune": 1.0, "ewc": 3.0, "lwf": 2.0,
    }  # fmt: skip
    # lwf over finetune: 9 of 9 pairs on cola; on rte .51 > .50, .50 = .50, .57 > .50 and .54
    assert found["lwf"].improvement == pytest.approx((9 / 9 + 3.5 / 9) / 2)
    assert found["finetune"].improvement is None
    pooled = [value for scores in SCORES["lwf"].values() for value in scores]
    assert found["lwf"].iqm == pytest.approx(scipy_stats.trim_mean(pooled, 0.25))
    assert found["lwf"].low < found["lwf"].iqm < found["lwf"].high and found["lwf"].scores == 6


def test_the_board_has_them_of_the_methods_and_seeds_of_its_average() -> None:
    (board,) = boards(without(grid(), ("ewc", "cola", 2), *[("lwf", "rte", s) for s in range(3)]))
    assert {one.method: one.scores for one in board.standings} == {"finetune": 4, "ewc": 4}
    assert "Borda" in terminal.render([board])
    found = {(row["task"], row["method"]): row for row in tidy.records([board])}
    assert found["average", "ewc"]["iqm"] == board.standings[0].iqm
    assert found["average", "lwf"]["iqm"] is found["cola", "ewc"]["iqm"] is None


def test_one_task_has_none_and_one_method_neither() -> None:
    (alone,) = boards([cell for cell in grid() if cell["cell"]["method"] == "lwf"])
    assert alone.average is not None and alone.standings == ()
    (board,) = boards([cell for cell in grid() if cell["cell"]["task"] == "rte"])
    assert board.standings == ()
