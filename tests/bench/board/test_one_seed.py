"""McNemar's test on the answers, where there is one seed: against scipy, and against all ways to
toss so many coins."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from scipy.stats import binomtest

from bench.board import statistics
from bench.board.leaderboard import boards
from bench.board.one_seed import right_rows
from bench.cells.reading import DamagedError
from bench.cells.result import CellResult, Predictions
from bench.render import terminal, tidy
from bench.scoring.chance import given
from tests.helpers.made_up import result


@pytest.mark.parametrize("more", range(7))
@pytest.mark.parametrize("fewer", range(7))
def test_p_is_the_share_of_coins_that_are_as_uneven(more: int, fewer: int) -> None:
    n = more + fewer
    uneven = [abs(2 * sum(coins) - n) >= abs(more - fewer) for coins in product((0, 1), repeat=n)]
    assert statistics.mcnemar(more, fewer) == pytest.approx(sum(uneven) / 2**n)


@pytest.mark.parametrize(("more", "fewer"), [(40, 12), (0, 300), (150, 151), (1000, 1200), (1, 0)])
def test_p_is_scipys(more: int, fewer: int) -> None:
    wanted = binomtest(more, more + fewer, 0.5).pvalue
    assert statistics.mcnemar(more, fewer) == pytest.approx(wanted, rel=1e-9)


GOLD = [0, 1] * 10


def answered(wrong: set[int]) -> list[int]:
    return [1 - gold if i in wrong else gold for i, gold in enumerate(GOLD)]


BASE = answered(set(range(12)))  # 12 of 20 are wrong
MADE = {"finetune": BASE, "ewc": answered({0, 1}), "lwf": answered({*range(11), 19})}


def cells(*seeds: int, methods: tuple[str, ...] = tuple(MADE)) -> list[CellResult]:
    found = [result(m, "rte", seed, after=0.5 + seed / 8) for m in methods for seed in seeds]
    for cell in found:
        cell["data"]["dev_rows"] = len(GOLD)
    return found


def answers(cell: CellResult) -> Predictions:
    after = MADE[cell["cell"]["method"]]
    ids = [f"dev-{i}" for i in range(len(GOLD))]
    return {
        "schema_version": 7, "hash": cell["hash"], "id": ids, "gold": GOLD,
        "before": GOLD, "after": after, "scores_after": [[0.0]] * len(GOLD),
    }  # fmt: skip


def test_a_board_of_one_seed_tests_the_answers() -> None:
    (board,) = boards(cells(0), answers)
    ewc, lwf = board.one_seed
    assert (ewc.method, ewc.more, ewc.fewer, ewc.rows) == ("ewc", 10, 0, 20)
    assert ewc.p == pytest.approx(2 / 2**10) and ewc.p_holm == pytest.approx(4 / 2**10)
    assert (lwf.more, lwf.fewer, lwf.p, lwf.p_holm) == (1, 1, 1.0, 1.0)
    assert (ewc.word, lwf.word) == ("more right", "no difference shown")
    shown = terminal.render([board], "utf-8", 80)
    assert "McNemar's exact test on the answers" in shown and "more right" in shown
    record = next(r for r in tidy.records([board]) if r["method"] == "ewc" and r["task"] == "rte")
    assert record["answers_only_right"] == 10 and record["answers_only_reference_right"] == 0
    assert record["answers_p"] == ewc.p and record["answers_p_holm"] == ewc.p_holm
    assert record["answers_verdict"] == "more right"


def test_the_other_way_round_it_is_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MADE, "ewc", BASE)
    monkeypatch.setitem(MADE, "finetune", answered({0, 1}))
    ewc = boards(cells(0), answers)[0].one_seed[0]
    assert (ewc.word, ewc.more, ewc.fewer) == ("fewer right", 0, 10)


def test_answers_are_asked_where_there_is_one_seed_only() -> None:
    asked = []

    def ask(cell: CellResult) -> Predictions:
        asked.append((cell["cell"]["method"], cell["cell"]["seed"]))
        return answers(cell)

    found = cells(0, 1) + cells(1, methods=("lwf",))
    (board,) = boards(found, ask)
    assert board.one_seed == () and asked == []
    found = [cell for cell in found if cell["cell"]["method"] != "lwf"] + cells(1, methods=("lwf",))
    (board,) = boards(found, ask)
    assert [(one.method, one.seed) for one in board.one_seed] == [("lwf", 1)]
    assert sorted(asked) == [("finetune", 1), ("lwf", 1)]
    assert boards(cells(0))[0].one_seed == ()


def test_answers_that_are_not_those_of_the_scores_are_not_used() -> None:
    (cell,) = cells(0, methods=("ewc",))
    assert right_rows(cell, None) is None
    assert right_rows({**cell, "flips": None}, answers(cell)) is None
    cell["data"]["dev_rows"] = 21
    assert right_rows(cell, answers(cell)) is None
    cell["data"]["dev_rows"] = 5
    found: Any = right_rows(cell, answers(cell))
    assert list(found.values()) == [False, False, True, True, True]
    said = {"majority": None, "before": given(GOLD[:5]), "after": given(MADE["ewc"][:5])}
    assert right_rows({**cell, "chance": said}, answers(cell)) == found  # type: ignore[typeddict-item]
    said["after"] = given(GOLD[:5])
    assert right_rows({**cell, "chance": said}, answers(cell)) is None  # type: ignore[typeddict-item]

    def damaged(cell: CellResult) -> Predictions:
        raise DamagedError("x")

    assert boards(cells(0), damaged)[0].one_seed == ()
