"""The metrics against slow formulas written out here, and on degenerate input."""

from __future__ import annotations

import math
import random
import warnings

import pytest

from bench import metrics
from bench.errors import BenchError


def slow_accuracy(gold: list[int], predicted: list[int]) -> float:
    return sum(g == p for g, p in zip(gold, predicted, strict=True)) / len(gold)


def slow_f1(gold: list[int], predicted: list[int]) -> float:
    pairs = list(zip(gold, predicted, strict=True))
    right = pairs.count((1, 1))
    if right == 0:
        return 0.0
    precision, recall = right / predicted.count(1), right / gold.count(1)
    return 2 * precision * recall / (precision + recall)


def slow_matthews(gold: list[int], predicted: list[int]) -> float:
    """Pearson's correlation of the label indicators, summed over the labels."""
    n, labels = len(gold), set(gold) | set(predicted)

    def covariance(first: list[int], second: list[int]) -> float:
        total = 0.0
        for label in labels:
            a, b = [float(x == label) for x in first], [float(x == label) for x in second]
            mean_a, mean_b = sum(a) / n, sum(b) / n
            total += sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True))
        return total

    spread = covariance(gold, gold) * covariance(predicted, predicted)
    return covariance(gold, predicted) / math.sqrt(spread) if spread else 0.0


SLOW = {"accuracy": slow_accuracy, "f1": slow_f1, "matthews_correlation": slow_matthews}


@pytest.mark.parametrize("name", metrics.METRICS)
def test_equals_the_slow_formula(name: str) -> None:
    rng = random.Random(name)
    for labels in (2,) if name == "f1" else (2, 3, 5):
        for rows in (1, 2, 3, 10, 200):
            for _ in range(8):
                gold = [rng.randrange(labels) for _ in range(rows)]
                predicted = [g if rng.random() < 0.4 else rng.randrange(labels) for g in gold]
                value = metrics.METRICS[name](gold, predicted)
                assert value == pytest.approx(SLOW[name](gold, predicted), abs=1e-12)


@pytest.mark.parametrize(
    ("gold", "predicted", "expected"),
    [
        ([1, 1], [1, 1], (1.0, 1.0, 0.0)),
        ([0, 0], [0, 0], (1.0, 0.0, 0.0)),
        ([0, 1], [0, 0], (0.5, 0.0, 0.0)),
        ([0, 0], [1, 1], (0.0, 0.0, 0.0)),
        ([1, 1, 1, 0], [1, 1, 1, 1], (0.75, 6 / 7, 0.0)),
    ],
)
def test_one_class_or_constant_predictions_are_a_number_without_a_warning(
    gold: list[int], predicted: list[int], expected: tuple[float, ...]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = metrics.score(["accuracy", "f1", "matthews_correlation"], gold, predicted)
    assert tuple(scores.values()) == pytest.approx(expected)


@pytest.mark.parametrize("name", metrics.METRICS)
def test_empty_or_unequal_input_raises(name: str) -> None:
    with pytest.raises(ValueError, match="no rows"):
        metrics.METRICS[name]([], [])
    with pytest.raises(ValueError, match="2 gold labels but 1 predictions"):
        metrics.METRICS[name]([0, 1], [0])


def test_score_keeps_the_order_and_knows_its_names() -> None:
    assert list(metrics.score(("f1", "accuracy"), [0, 1], [0, 1])) == ["f1", "accuracy"]
    with pytest.raises(BenchError, match=r"unknown metric 'acuracy'\. Did you mean 'accuracy'"):
        metrics.score(["acuracy"], [0], [0])


def test_every_metric_has_a_title() -> None:
    assert metrics.TITLES.keys() == metrics.METRICS.keys()
