"""Contenders that take turns, and their ratio round by round."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Mapping, Sequence


def alternate(contenders: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """What each contender returns (seconds) in each round, after one round that does not count;
    another one goes first in every round."""
    names = list(contenders)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds + 1):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            took = contenders[name]()
            if number:
                seconds[name].append(took)
        print(f"round {number} of {rounds}", file=sys.stderr)
    return seconds


def compared(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """Our speed over theirs from seconds, paired by round: `ratio` (median), `low` and `high`."""
    found = [their / our for our, their in zip(ours, theirs, strict=True)]
    return {"ratio": statistics.median(found), "low": min(found), "high": max(found)}
