"""Means, intervals and paired differences over seeds. Small, pure, and checked against scipy."""

from __future__ import annotations

import math
import statistics
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

K = TypeVar("K", bound=Hashable)
LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over n values; `half` is the half-width of its 95 % t-interval, None for n = 1."""

    n: int
    mean: float
    half: float | None


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
    error = statistics.stdev(values) / math.sqrt(n)
    return Estimate(n, mean, _t_quantile(n - 1) * error)


def paired(ours: Mapping[K, float], theirs: Mapping[K, float]) -> Estimate | None:
    """The mean of ours − theirs over their m common keys (seeds), shape (m,); None for m = 0."""
    return estimate([value - theirs[key] for key, value in ours.items() if key in theirs])


def _t_quantile(freedom: int) -> float:
    """How many standard errors the interval reaches to each side."""
    # scipy.stats takes a second to import, which `table DIR` would pay; this is the same function.
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + LEVEL) / 2))
