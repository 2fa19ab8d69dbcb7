"""The two best methods beside finetune, and the seeds that would tell them apart."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from bench.board.closest import Closest
from bench.board.leaderboard import Board, boards
from bench.board.statistics import seeds_needed
from bench.render import terminal, tidy
from tests.helpers.made_up import result

SCORES = {
    "finetune": (0.9, 0.9, 0.9),
    "ewc": (0.70, 0.76, 0.71),
    "lwf": (0.66, 0.70, 0.74),
    "mixout": (0.1, 0.2, 0.3),
}


def board(scores: dict[str, tuple[float, ...]]) -> Board:
    (found,) = boards(
        [
            result(method, "rte", seed, after)
            for method, values in scores.items()
            for seed, after in enumerate(values)
        ]
    )
    return found


def pair(scores: dict[str, tuple[float, ...]]) -> Closest | None:
    return board(scores).tables[0].closest


def test_the_two_best_are_compared_as_scipy_does() -> None:
    found = pair(SCORES)
    assert found is not None and (found.first, found.second) == ("ewc", "lwf")
    test = scipy_stats.ttest_rel(SCORES["ewc"], SCORES["lwf"])
    low, high = test.confidence_interval(0.95)
    assert found.found.p == pytest.approx(test.pvalue) and not found.is_told
    assert found.found.difference.half == pytest.approx((high - low) / 2)
    apart = np.subtract(SCORES["ewc"], SCORES["lwf"])
    assert found.found.needed == seeds_needed(float(np.std(apart, ddof=1)), float(np.mean(apart)))


def test_the_board_says_how_many_seeds_would_tell_them() -> None:
    found = board(SCORES)
    closest = found.tables[0].closest
    assert closest is not None
    row = " ".join(
        terminal.render([found]).split("two best beside finetune")[1].split("\n")[6].split()
    )
    assert row == f"RTE ewc lwf 3 +2.33 ±11.74 {closest.found.needed}"
    (first,) = (each for each in tidy.records([found]) if each["next"])
    assert (first["method"], first["next"]) == ("ewc", "lwf")
    assert first["next_seeds_needed"] == closest.found.needed
    assert first["next_difference"] == pytest.approx(0.07 / 3)


def test_what_is_told_says_so_and_one_seed_says_nothing() -> None:
    apart = pair(SCORES | {"lwf": (0.50, 0.55, 0.51)})
    assert apart is not None and apart.is_told
    assert pair({name: values[:1] for name, values in SCORES.items()}) is None
    assert pair({name: SCORES[name] for name in ("finetune", "ewc")}) is None
