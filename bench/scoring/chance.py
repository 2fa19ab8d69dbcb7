"""What answers would be worth that look at no row, and whether a model's answers look at any."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from bench.cells.result import Given
from bench.core.hashing import digest
from bench.scoring.metrics import METRICS, score


def majority(metric: str, gold: Sequence[Any]) -> float | None:
    """The score of giving the commonest gold answer to every row (of equals the least); None of a
    metric that scores no answers (a loss), or that is not in the suite."""
    if metric not in METRICS or METRICS[metric].lower:
        return None
    counts = Counter(gold)
    commonest = min(counts, key=lambda answer: (-counts[answer], answer))
    values, _ = score([metric], gold, [commonest] * len(gold))
    return values[metric]


def given(answers: Sequence[Any]) -> Given:
    """What is kept of a model's answers to all dev rows: how alike they are, and their hash."""
    return {
        "share": max(Counter(answers).values()) / len(answers),
        "hash": digest(list(answers)),
    }
