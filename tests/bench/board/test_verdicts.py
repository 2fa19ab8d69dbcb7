"""What is said of a row in words, and what so few seeds cannot show."""

from __future__ import annotations

import random

import pytest
from scipy import stats as scipy_stats

from bench.board.leaderboard import Board, boards
from bench.board.verdicts import Verdict
from bench.cells.result import CellResult
from bench.render import terminal, tidy
from tests.helpers.made_up import result

SHIFTS = {"finetune": 0.0, "ewc": 0.2, "lwf": 0.0, "mixout": -0.2}


def cells(seeds: int) -> list[CellResult]:
    """Scores and losses around each method's own: more of both where SHIFTS says so."""
    made = []
    for method, shift in SHIFTS.items():
        for seed in range(seeds):
            rng = random.Random(f"{method} {seed}")
            cell = result(method, "rte", seed, 0.5 + shift + rng.gauss(0, 0.02))
            after = 1.5 + shift + rng.gauss(0, 0.02)
            cell["retention"] = {"text": "s", "tokens": 1, "before": 1.0, "after": after}
            made.append(cell)
    return made


def said(board: Board) -> dict[str, Verdict]:
    return {one.method: one for one in board.verdicts}


def test_more_is_better_of_scores_and_worse_of_losses() -> None:
    (board,) = boards(cells(6))
    assert {name: one.words for name, one in said(board).items()} == {
        "ewc": {"after": "better", "retention": "worse"},
        "lwf": {"after": "no difference shown", "retention": "no difference shown"},
        "mixout": {"after": "worse", "retention": "better"},
    }
    assert board.limits == ()


def test_the_p_of_a_row_is_scipys_over_all_comparisons_of_the_board() -> None:
    made = cells(5)
    (board,) = boards(made)

    def scores(method: str) -> list[float]:
        return [c["scores"]["after"]["accuracy"] for c in made if c["scores"]
                and c["cell"]["method"] == method]  # fmt: skip

    p = {m: scipy_stats.ttest_rel(scores(m), scores("finetune")).pvalue for m in said(board)}
    top = max(p, key=lambda method: p[method])
    found = said(board)[top].found["after"]
    assert found is not None and found.p == pytest.approx(p[top])
    assert found.p_holm == pytest.approx(p[top])  # no Holm in scipy: the largest stays
    least = said(board)[min(p, key=lambda method: p[method])].found["after"]
    assert least is not None and least.p_holm == pytest.approx(3 * min(p.values()))


def test_few_seeds_say_what_they_cannot_show() -> None:
    assert boards(cells(1))[0].limits == ("one seed: no difference can be told from chance",)
    assert {*said(boards(cells(1))[0])["ewc"].words.values()} == {"one seed"}
    (line,) = boards(cells(3))[0].limits
    assert line == (
        "3 seeds: no exact paired test over seeds can reach 0.05, its least p is 0.25 (6 seeds "
        "can); the verdicts take differences for normal"
    )
    for n in range(2, 8):  # against scipy: the most one-sided differences that there are
        test = scipy_stats.permutation_test(
            ([1.0] * n,), sum, permutation_type="samples", n_resamples=2**n, axis=0
        )
        assert bool(boards(cells(n))[0].limits) == (test.pvalue >= 0.05)


def test_words_stand_in_the_terminal_and_figures_in_the_records() -> None:
    found = boards(cells(6))
    text = " ".join(terminal.render(found, width=120).split())
    ewc = said(found[0])["ewc"].found["after"]
    assert ewc is not None and ewc.difference.half is not None
    mean, half = 100 * ewc.difference.mean, 100 * ewc.difference.half
    assert f"better by {mean:.2f} ±{half:.2f}" in text
    lwf = said(found[0])["lwf"].found["after"]
    assert lwf is not None and lwf.seen is not None
    assert f"no difference shown (±{100 * lwf.seen:.2f})" in text
    assert abs(lwf.difference.mean) < lwf.seen
    (row,) = (one for one in tidy.records(found) if one["method"] == "ewc")
    assert (row["after_verdict"], row["retention_verdict"]) == ("better", "worse")
    assert (row["after_p"], row["after_p_holm"], row["after_p_exact"]) == (
        ewc.p, ewc.p_holm, 2 / 2**6,
    )  # fmt: skip
