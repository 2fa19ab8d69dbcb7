"""Means, intervals, tests and ranks over seeds and tasks. Small, pure, and checked against scipy.

scipy.stats takes a second to import, which `table DIR` would pay: only scipy.special is used.
"""

from __future__ import annotations

import functools
import math
from bisect import bisect_left
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

K = TypeVar("K", bound=Hashable)
LEVEL = 0.95
ALPHA = 1 - LEVEL
MOST_FLIPPED = 16
"""Seeds up to which every flip of signs is counted: 32,768 sums."""
MOST_SEEDS = 1000
"""The most seeds that are asked for; more would not be run."""
_DRAWS = 2000  # of the bootstrap


@dataclass(frozen=True)
class Estimate:
    """A mean over n values; `half` is the half-width of its 95 % t-interval and `sd` the standard
    deviation (ddof 1), None for n = 1."""

    n: int
    mean: float
    half: float | None
    sd: float | None = None


@dataclass(frozen=True)
class Comparison:
    """What two methods' values on the same seeds say of their difference."""

    difference: Estimate
    p: float | None  # of the paired t-test, two-sided; None for one seed
    p_exact: float | None  # of the sign-flip test, two-sided; None for one seed or too many
    p_holm: float | None = None  # `p`, adjusted to all comparisons of one board
    seen: float | None = None  # the least difference that is surely shown among all of them
    needed: int | None = None
    """Seeds from which on a difference of this size would be shown among them as often as not, were
    the spread the same; None where `MOST_SEEDS` would not do."""


def estimate(values: Sequence[float]) -> Estimate | None:
    """The mean of `values`, shape (n,), with its t-interval (ddof 1); None for n = 0.

    Raises:
        ValueError: a value is NaN or infinite; leave out what is missing.
    """
    if not all(math.isfinite(value) for value in values):
        raise ValueError(f"not all finite: {values}")
    n = len(values)
    if n == 0:
        return None
    mean = math.fsum(values) / n
    if n == 1:
        return Estimate(1, mean, None)
    apart = [value - values[0] for value in values]  # exactly 0 where all are the same
    middle = math.fsum(apart) / n
    spread = math.hypot(*(each - middle for each in apart)) / math.sqrt(n - 1)
    return Estimate(n, mean, _t_quantile(n - 1) * (spread / math.sqrt(n)), spread)


def paired(ours: Mapping[K, float], theirs: Mapping[K, float]) -> Estimate | None:
    """The mean of ours − theirs over their m common keys (seeds), shape (m,); None for m = 0."""
    return estimate(_differences(ours, theirs))


def ratio(ours: Mapping[K, float], theirs: Mapping[K, float]) -> Estimate | None:
    """Mean of ours by mean of theirs over their m common keys (seeds), shape (m,), with the
    interval of a ratio estimator: that of ours − ratio · theirs, by the mean of theirs (Cochran
    1977, section 6.4). None for m = 0, or where the mean of theirs is 0."""
    pairs = [(value, theirs[key]) for key, value in ours.items() if key in theirs]
    whole = estimate([below for _, below in pairs])
    if whole is None or not whole.mean:
        return None
    share = math.fsum(above for above, _ in pairs) / math.fsum(below for _, below in pairs)
    rest = estimate([above - share * below for above, below in pairs])
    assert rest is not None, "there are pairs"
    by = abs(whole.mean)
    half, sd = ((None if value is None else value / by) for value in (rest.half, rest.sd))
    return Estimate(len(pairs), share, half, sd)


def compared(ours: Mapping[K, float], theirs: Mapping[K, float]) -> Comparison | None:
    """All that is said of ours − theirs over their m common keys, shape (m,); None for m = 0."""
    values = _differences(ours, theirs)
    found = estimate(values)
    if found is None:
        return None
    if found.sd is None:
        return Comparison(found, None, None)
    exact = sign_flip(values) if found.n <= MOST_FLIPPED else None
    return Comparison(found, t_test(found), exact)


def adjusted(found: Sequence[Comparison | None]) -> list[Comparison | None]:
    """Comparisons, shape (m,), as one family: in their order, with what depends on their number."""
    p = {i: one.p for i, one in enumerate(found) if one is not None and one.p is not None}
    p_holm = dict(zip(p, holm(list(p.values())), strict=True))
    whole = list(found)
    for i, value in p_holm.items():
        one = found[i]
        assert one is not None and one.difference.sd is not None, "it has a p"
        sd, n, mean = one.difference.sd, one.difference.n, one.difference.mean
        whole[i] = replace(
            one,
            p_holm=value,
            seen=_t_quantile(n - 1, len(p)) * sd / math.sqrt(n),
            needed=seeds_needed(sd, mean, len(p)),
        )
    return whole


def t_test(difference: Estimate) -> float | None:
    """Two-sided p of the paired t-test that the mean is 0; None for n = 1."""
    from scipy.special import stdtr

    if difference.sd is None:
        return None
    if difference.sd == 0:
        return 0.0 if difference.mean else 1.0
    t = abs(difference.mean) / (difference.sd / math.sqrt(difference.n))
    return float(2 * stdtr(difference.n - 1, -t))


def sign_flip(differences: Sequence[float]) -> float:
    """Two-sided p of the exact permutation test over paired differences, shape (n,): the share of
    the 2^n ways to choose their signs whose sum is as far from 0. Fisher 1935, section 21.

    Raises:
        ValueError: no difference, or more than `MOST_FLIPPED`.
    """
    if not 1 <= len(differences) <= MOST_FLIPPED:
        raise ValueError(f"{len(differences)} differences; 1 to {MOST_FLIPPED} can be flipped")
    import numpy as np

    sums = np.array(differences[:1])  # its sign may stay: the other half is the mirror image
    for value in differences[1:]:
        sums = np.concatenate([sums + value, sums - value])
    reached = abs(sums[0]) - 1e-12 * sum(map(abs, differences))  # sums of one size are rounded
    return int(np.count_nonzero(np.abs(sums) >= reached)) / len(sums)


def mcnemar(more: int, fewer: int) -> float:
    """Two-sided p of the exact test on the rows that one of two alone answers right: as often the
    one as the other, p = min(1, 2 P(Binomial(more + fewer, 1/2) ≤ min(more, fewer))); 1 for no such
    row. McNemar 1947."""
    from scipy.special import bdtr

    return min(1.0, 2 * float(bdtr(min(more, fewer), more + fewer, 0.5))) if more + fewer else 1.0


def least_p(n: int) -> float:
    """The smallest p that `sign_flip` can give for n differences."""
    return 2.0 ** (1 - n)


def holm(values: Sequence[float]) -> list[float]:
    """The p-values, shape (m,), adjusted to their number, in their order (Holm 1979)."""
    adjusted, highest = [0.0] * len(values), 0.0
    for place, i in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        highest = max(highest, min(1.0, (len(values) - place) * values[i]))
        adjusted[i] = highest
    return adjusted


def seeds_needed(sd: float, difference: float, comparisons: int = 1) -> int | None:
    """The least n at which the t-interval of paired differences with this standard deviation, at
    5 % over all `comparisons` (Bonferroni), is narrower than `difference` to each side; None where
    `MOST_SEEDS` would not do."""
    if not difference:
        return None

    def enough(n: int) -> bool:
        return _t_quantile(n - 1, comparisons) * sd / math.sqrt(n) < abs(difference)

    counts = range(2, MOST_SEEDS + 1)
    place = bisect_left(counts, True, key=enough)
    return counts[place] if place < len(counts) else None


def interquartile_mean(values: Sequence[float]) -> float:
    """The mean of `values`, shape (n,), without the lowest and the highest ⌊n/4⌋ (Agarwal et al.
    2021, arXiv 2108.13264). Raises ValueError for n = 0."""
    if not values:
        raise ValueError("no values")
    cut = len(values) // 4
    middle = sorted(values)[cut : len(values) - cut]
    return math.fsum(middle) / len(middle)


def bootstrapped(strata: Sequence[Sequence[float]]) -> tuple[float, float]:
    """The 95 % percentile interval of the interquartile mean of `strata`, shape (tasks, seeds): of
    each task as many seeds are drawn as it has. Always the same draws (a PCG64 of our own)."""
    import numpy as np

    rng = np.random.default_rng(0)
    drawn = [
        np.asarray(values)[rng.integers(len(values), size=(_DRAWS, len(values)))]
        for values in strata
    ]
    pooled = np.sort(np.concatenate(drawn, axis=1), axis=1)
    cut = pooled.shape[1] // 4
    means = pooled[:, cut : pooled.shape[1] - cut].mean(axis=1)
    low, high = np.quantile(means, [ALPHA / 2, 1 - ALPHA / 2])
    return float(low), float(high)


def improvement(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The share of pairs of ours, shape (n,), and theirs, shape (m,), in which ours is more; ties
    count half: the Mann-Whitney U by n·m. Raises ValueError where there is no pair."""
    if not ours or not theirs:
        raise ValueError("no pair of values")
    wins = sum((a > b) + 0.5 * (a == b) for a in ours for b in theirs)
    return wins / (len(ours) * len(theirs))


def ranks(values: Sequence[float]) -> list[float]:
    """Each value's rank, shape (n,), 1 the highest; ties share the mean of their ranks."""
    return [
        sum(other > value for other in values) + (sum(other == value for other in values) + 1) / 2
        for value in values
    ]


def _differences(ours: Mapping[K, float], theirs: Mapping[K, float]) -> list[float]:
    return [value - theirs[key] for key, value in ours.items() if key in theirs]


@functools.cache
def _t_quantile(freedom: int, comparisons: int = 1) -> float:
    """How many standard errors the interval reaches to each side."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 1 - ALPHA / 2 / comparisons))
