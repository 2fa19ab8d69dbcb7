from __future__ import annotations

import math
import random

import pytest
from scipy import stats as scipy_stats

from bench.board.statistics import Estimate, estimate, paired


@pytest.mark.parametrize("n", [2, 3, 5, 30])
def test_interval_is_that_of_scipy(n: int) -> None:
    rng = random.Random(n)
    values = [rng.gauss(0.4, 0.1) for _ in range(n)]
    found = estimate(values)
    low, high = scipy_stats.t.interval(
        0.95, n - 1, loc=sum(values) / n, scale=scipy_stats.sem(values, ddof=1)
    )
    assert found is not None and found.half is not None and found.n == n
    assert found.mean - found.half == pytest.approx(low, rel=1e-12)
    assert found.mean + found.half == pytest.approx(high, rel=1e-12)


def test_paired_interval_is_that_of_the_paired_t_test() -> None:
    ours, theirs = [0.5, 0.61, 0.58, 0.7], [0.45, 0.6, 0.5, 0.66]
    found = paired(dict(enumerate(ours)), dict(enumerate(theirs)))
    interval = scipy_stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    assert found is not None and found.half is not None
    assert (found.mean - found.half, found.mean + found.half) == pytest.approx(
        (interval.low, interval.high), rel=1e-12
    )


def test_pairs_are_made_by_key_and_only_where_both_are_there() -> None:
    found = paired({2: 0.5, 0: 1.0, 1: 9.0}, {0: 0.5, 2: 0.5, 7: 3.0})
    assert found == estimate([0.0, 0.5])


def test_few_values() -> None:
    assert estimate([]) is None
    assert paired({0: 1.0}, {1: 1.0}) is None
    assert estimate([0.25]) == Estimate(1, 0.25, None)
    assert estimate([0.5, 0.5, 0.5]) == Estimate(3, 0.5, 0.0)


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_what_is_no_number_is_refused_rather_than_spread(wrong: float) -> None:
    with pytest.raises(ValueError, match="not all finite"):
        estimate([0.1, wrong])
