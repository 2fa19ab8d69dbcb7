"""The metrics of the tasks: gold and predicted label indices in, one number out."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence

from bench.errors import unknown_name

Labels = Sequence[int]


def accuracy(gold: Labels, predicted: Labels) -> float:
    """The share of right answers. Raises ValueError for no rows, or lists of unequal length."""
    from sklearn.metrics import accuracy_score

    _check(gold, predicted)
    return float(accuracy_score(gold, predicted))


def f1(gold: Labels, predicted: Labels) -> float:
    """F1 of label 1 of a two-label task; 0 where that label is neither gold nor predicted.

    Raises:
        ValueError: no rows, lists of unequal length, or more than two labels.
    """
    from sklearn.metrics import f1_score

    _check(gold, predicted)
    return float(f1_score(gold, predicted, zero_division=0.0))


def matthews_correlation(gold: Labels, predicted: Labels) -> float:
    """Matthews' correlation; 0 where gold or predicted labels are all the same.

    Raises:
        ValueError: no rows, or lists of unequal length.
    """
    from sklearn.metrics import matthews_corrcoef

    _check(gold, predicted)
    with warnings.catch_warnings():  # one label on both sides: scikit-learn warns and returns 0
        warnings.simplefilter("ignore", UserWarning)
        return float(matthews_corrcoef(gold, predicted))


METRICS: dict[str, Callable[[Labels, Labels], float]] = {
    "accuracy": accuracy,
    "f1": f1,
    "matthews_correlation": matthews_correlation,
}
TITLES = {
    "accuracy": "accuracy",
    "f1": "F1",
    "matthews_correlation": "Matthews correlation",
}


def score(names: Iterable[str], gold: Labels, predicted: Labels) -> dict[str, float]:
    """Each named metric -> its value, in the order of `names`.

    Raises:
        BenchError: a name that is no metric.
        ValueError: as the metrics do.
    """
    names = list(names)
    for name in names:
        if name not in METRICS:
            raise unknown_name("metric", name, METRICS)
    return {name: METRICS[name](gold, predicted) for name in names}


def _check(gold: Labels, predicted: Labels) -> None:
    if len(gold) != len(predicted):
        raise ValueError(f"{len(gold)} gold labels but {len(predicted)} predictions")
    if not len(gold):
        raise ValueError("no rows to score")
