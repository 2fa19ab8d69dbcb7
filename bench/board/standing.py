"""Methods over all tasks in ways that one task cannot tip: interquartile mean, ranks, and how often
a method is ahead of the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.board import statistics


@dataclass(frozen=True)
class Standing:
    """One method over the tasks of the average, on the seeds that all methods finished."""

    method: str
    scores: int  # how many: tasks times seeds
    iqm: float  # the interquartile mean of these
    low: float  # of its 95 % interval: seeds are drawn anew within each task
    high: float
    rank: float  # by mean score, averaged over tasks; 1 is best
    borda: float  # methods left behind, summed over tasks; ties count half
    improvement: float | None
    """P(a seed's score is above one of the reference's), averaged over tasks; None of itself."""


def standings(
    scores: Mapping[str, Mapping[str, Sequence[float]]], reference: str | None
) -> tuple[Standing, ...]:
    """From method -> task -> scores, shape (seeds,), more is better: a row per method, the best
    interquartile mean first. Every method has every task. (Agarwal et al. 2021, arXiv 2108.13264.)
    """
    tasks = list(next(iter(scores.values()), {}))
    ranks = {task: _ranks({m: by_task[task] for m, by_task in scores.items()}) for task in tasks}
    base = scores.get(reference, {}) if reference else {}
    found = []
    for method, by_task in scores.items():
        pooled = [value for task in tasks for value in by_task[task]]
        low, high = statistics.bootstrapped([by_task[task] for task in tasks])
        mine = [ranks[task][method] for task in tasks]
        ahead = [statistics.improvement(by_task[task], base[task]) for task in tasks if base]
        found.append(
            Standing(
                method=method,
                scores=len(pooled),
                iqm=statistics.interquartile_mean(pooled),
                low=low,
                high=high,
                rank=sum(mine) / len(mine),
                borda=sum(len(scores) - rank for rank in mine),
                improvement=sum(ahead) / len(ahead) if ahead and method != reference else None,
            )
        )
    return tuple(sorted(found, key=lambda one: (-one.iqm, one.method)))


def _ranks(scores: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Of one task, by mean score."""
    means = [sum(values) / len(values) for values in scores.values()]
    return dict(zip(scores, statistics.ranks(means), strict=True))
