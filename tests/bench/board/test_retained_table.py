"""Retention tasks on a board: means over seeds, and flips beyond chance from answers, by hand."""

from __future__ import annotations

from math import isclose

from bench.board.leaderboard import boards
from bench.board.statistics import estimate
from bench.cells.result import CellResult, Flips
from bench.render import markdown, terminal, tidy
from bench.scoring.predictions import flips
from tests.helpers.made_up import result

BEFORE = [True] * 6 + [False] * 4
AFTER = ([True] * 3 + [False] * 7, [True] * 5 + [False] * 4 + [True])  # by seed


def cell(method: str, seed: int, found: Flips | None, before: float, after: float) -> CellResult:
    one = result(method, "cola", seed)
    one["measured"] = {**one["measured"], "retain_tasks": {"tasks": ["rte"]}}
    one["retain_tasks"] = {
        "rte": {"rows": 10, "metric": "accuracy", "before": before, "after": after, "flips": found}
    }
    return one


def cells() -> list[CellResult]:
    return [
        cell("ewc", seed, flips(BEFORE, after, [0.25] * 10), 0.6, sum(after) / 10)
        for seed, after in enumerate(AFTER)
    ]


def test_before_after_lost_and_gained() -> None:
    """Of ten rows with four answers: 3 lost and 4 twice wrong; 1 lost, 1 gained and 3 twice."""
    (row,) = boards(cells())[0].retained
    assert (row.title, row.task, row.metric, row.method) == ("CoLA", "rte", "accuracy", "ewc")
    assert row.before == estimate([0.6, 0.6]) and row.after == estimate([0.3, 0.6])
    assert isclose(row.change.mean, -0.15) and row.lost and row.gained
    twice = 0.25 / 0.75**2
    lost = [(3 / 0.75 - 4 * twice) / 10, max(0.0, (1 / 0.75 - 3 * twice) / 10)]
    assert isclose(row.lost.mean, sum(lost) / 2) and lost[1] == 0.0 == row.gained.mean
    half = 12.7062 * abs(lost[0] - lost[1]) / 2  # t(0.975; 1) · sd / √2
    assert row.lost.half and isclose(row.lost.half, half, rel_tol=1e-5)
    for render in (terminal.render, markdown.render):
        text = render(boards(cells()), **({} if render is markdown.render else {"width": 160}))
        (line,) = (x for x in text.partition("Retention tasks")[2].splitlines() if "ewc" in x)
        assert all(part in line for part in ("60.00", "45.00", "-15.00", "±190.59", "11.1"))


def test_records_have_a_row_each_and_a_cell_all_of_its_own() -> None:
    (board,) = boards(cells())
    (one,) = (each for each in tidy.records([board]) if each["metric"].startswith("retained "))
    assert (one["task"], one["metric"], one["retain_task"]) == (
        "cola", "retained rte accuracy", "rte",
    )  # fmt: skip
    (row,) = board.retained
    assert row.lost is not None and isclose(one["change"], -0.15)
    assert (one["lost_adjusted"], one["lost_adjusted_half_width"]) == (row.lost.mean, row.lost.half)
    first, _ = tidy.cell_records(cells())
    assert first["retain_tasks.rte.after"] == 0.3 and first["retain_tasks.rte.lost"] == 0.3


def test_answers_that_are_not_right_or_wrong_have_no_flips() -> None:
    found = [cell("ewc", 0, None, 0.5, 0.25), cell("ewc", 1, flips([True], [True], [0.5]), 1, 1)]
    (row,) = boards(found)[0].retained
    assert row.lost is None and row.gained is None and row.before.n == 2


def test_a_board_without_them_has_no_table() -> None:
    (board,) = boards([result()])
    assert board.retained == () and "Retention tasks" not in terminal.render([board])
