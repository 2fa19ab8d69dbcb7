from __future__ import annotations

import math
import random

import numpy as np
import pytest
from scipy import stats as scipy_stats

from bench.board.statistics import (
    Comparison,
    Estimate,
    adjusted,
    bootstrapped,
    compared,
    estimate,
    holm,
    improvement,
    interquartile_mean,
    least_p,
    paired,
    ranks,
    seeds_needed,
    sign_flip,
)


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
    assert found.sd == pytest.approx(np.std(values, ddof=1), rel=1e-12)


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
    assert estimate([0.5, 0.5, 0.5]) == Estimate(3, 0.5, 0.0, 0.0)


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_what_is_no_number_is_refused_rather_than_spread(wrong: float) -> None:
    with pytest.raises(ValueError, match="not all finite"):
        estimate([0.1, wrong])


def drawn(seed: int, n: int) -> list[float]:
    rng = random.Random(seed)
    return [rng.gauss(0.3, 1.0) for _ in range(n)]


@pytest.mark.parametrize("n", [2, 3, 5, 9])
def test_a_comparison_holds_the_p_values_of_scipy(n: int) -> None:
    ours, theirs = drawn(n, n), drawn(n + 100, n)
    found = compared(dict(enumerate(ours)), dict(enumerate(theirs)))
    assert found is not None and found.difference == paired(
        dict(enumerate(ours)), dict(enumerate(theirs))
    )
    assert found.p == pytest.approx(scipy_stats.ttest_rel(ours, theirs).pvalue, rel=1e-9)
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    exact = scipy_stats.permutation_test(
        (differences,), np.sum, permutation_type="samples", n_resamples=math.inf
    )
    assert found.p_exact == pytest.approx(exact.pvalue, rel=1e-9)


def test_equal_differences_and_one_seed_are_told_apart() -> None:
    same = compared({0: 0.5, 1: 0.75}, {0: 0.25, 1: 0.5})
    assert same is not None and (same.p, same.p_exact) == (0.0, 0.5)
    none = compared({0: 0.5, 1: 0.5}, {0: 0.5, 1: 0.5})
    assert none is not None and (none.p, none.p_exact) == (1.0, 1.0)
    assert compared({0: 0.5}, {0: 0.25}) == Comparison(Estimate(1, 0.25, None), None, None)
    assert compared({0: 0.5}, {1: 0.25}) is None


def test_signs_are_flipped_exactly_and_by_hand() -> None:
    assert sign_flip([1.0, 2.0, 4.0]) == 0.25 == least_p(3)  # +++ and ---
    assert sign_flip([1.0, 1.0, -1.0]) == 1.0  # a sum of 1 or more, whatever the signs
    assert sign_flip([0.1, 0.2, 0.3, 0.3, 0.2, 0.1]) == least_p(6) < 0.05 < least_p(5)
    assert sign_flip([0.5] * 16) == least_p(16)
    with pytest.raises(ValueError, match="17 differences; 1 to 16 can be flipped"):
        sign_flip([1.0] * 17)


def test_holm_is_worked_out_by_hand() -> None:
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_family_of_comparisons_knows_its_size() -> None:
    base = dict(enumerate(drawn(0, 5)))
    alone = [compared(dict(enumerate(drawn(seed, 5))), base) for seed in (1, 2, 3)]
    found = adjusted([*alone[:2], None, alone[2], compared({0: 1.0}, {0: 0.5})])
    assert found[2] is None and found[4] is not None and found[4].p_holm is None
    whole = [one for one in (found[0], found[1], found[3]) if one is not None]
    p = [one.p for one in alone if one is not None and one.p is not None]
    assert [one.p_holm for one in whole] == holm(p)
    for one in whole:
        sd = one.difference.sd
        assert sd is not None and one.needed == seeds_needed(sd, one.difference.mean, 3)
        want = scipy_stats.t.interval(1 - 0.05 / 3, 4, scale=sd / math.sqrt(5))[1]
        assert one.seen == pytest.approx(want)
    assert alone[0] is not None and adjusted([alone[0]])[0] is not None
    (single,) = adjusted(alone[:1])
    assert single is not None and single.seen == pytest.approx(single.difference.half)


def test_holm_keeps_the_share_of_boards_with_a_false_alarm() -> None:
    rng = np.random.default_rng(1)
    raw = rng.uniform(size=(2000, 8))
    alarms = [min(holm(list(row))) < 0.05 for row in raw]
    assert np.mean(alarms) == pytest.approx(0.05, abs=0.015)
    assert np.mean(raw.min(axis=1) < 0.05) > 0.3  # without it


@pytest.mark.parametrize("ratio", [0.6, 1.0, 2.5])
def test_the_seeds_that_are_needed_separate_as_often_as_not(ratio: float) -> None:
    n = seeds_needed(1.0, ratio)
    assert n is not None
    draws = np.random.default_rng(0).normal(-ratio, 1.0, size=(4000, n))
    p = scipy_stats.ttest_1samp(draws, 0.0, axis=1).pvalue
    assert np.mean(p < 0.05) == pytest.approx(0.5, abs=0.12)
    fewer = scipy_stats.ttest_1samp(draws[:, : max(2, n // 2)], 0.0, axis=1).pvalue
    assert np.mean(fewer < 0.05) < np.mean(p < 0.05)
    assert seeds_needed(1.0, -ratio) == n == seeds_needed(10.0, 10 * ratio)


def test_no_number_of_seeds_shows_a_difference_that_is_not_there() -> None:
    assert seeds_needed(1.0, 0.0) is None and seeds_needed(1.0, 1e-6) is None
    assert seeds_needed(0.0, 0.1) == 2


@pytest.mark.parametrize("n", [1, 3, 4, 10, 55])
def test_the_interquartile_mean_is_scipys_trimmed_mean(n: int) -> None:
    values = drawn(n, n)
    assert interquartile_mean(values) == pytest.approx(scipy_stats.trim_mean(values, 0.25))


def test_the_bootstrap_covers_what_it_should_and_is_always_the_same() -> None:
    rng = np.random.default_rng(3)
    hits = []
    for _ in range(60):
        strata = (rng.normal(size=(4, 12)) / 10 + np.arange(4)[:, None]).tolist()
        low, high = bootstrapped(strata)
        hits.append(low < 1.5 < high)
    assert np.mean(hits) > 0.85
    assert bootstrapped(strata) == bootstrapped(strata)
    assert bootstrapped([[0.5, 0.5], [0.5, 0.5]]) == (0.5, 0.5)


def test_improvement_is_mann_whitneys_u_and_ranks_are_scipys() -> None:
    ours, theirs = [1.0, 2.0, 2.0, 5.0], [2.0, 0.5, 3.0]
    u = scipy_stats.mannwhitneyu(ours, theirs).statistic
    assert improvement(ours, theirs) == pytest.approx(u / 12)
    assert improvement([1.0], [1.0]) == 0.5
    values = [0.25, 0.5, 0.5, -1.0, 0.75]
    assert ranks(values) == list(scipy_stats.rankdata([-v for v in values]))
