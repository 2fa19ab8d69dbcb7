"""The metrics against slow formulas written out here, and on degenerate input."""

from __future__ import annotations

import math
import random
import warnings
from functools import partial

import pytest
import sklearn.metrics

from bench.core.errors import BenchError
from bench.scoring import metrics
from bench.scoring.metrics import METRICS, Degenerate, score


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


@pytest.mark.parametrize("name", SLOW)
def test_equals_the_slow_formula(name: str) -> None:
    rng = random.Random(name)
    for labels in (2,) if name == "f1" else (2, 3, 5):
        for rows in (2, 3, 10, 200):
            for _ in range(8):
                gold = [rng.randrange(labels) for _ in range(rows)]
                predicted = [g if rng.random() < 0.4 else rng.randrange(labels) for g in gold]
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", Degenerate)
                    value = METRICS[name].compute(gold, predicted)
                assert value == pytest.approx(SLOW[name](gold, predicted), abs=1e-12)


THEIRS = {
    "accuracy": sklearn.metrics.accuracy_score,
    "f1": partial(sklearn.metrics.f1_score, zero_division=0.0),
    "f1_macro": partial(sklearn.metrics.f1_score, average="macro", zero_division=0.0),
    "matthews_correlation": sklearn.metrics.matthews_corrcoef,
}


@pytest.mark.parametrize("name", THEIRS)
def test_equals_scikit_learn_to_the_last_bit(name: str) -> None:
    rng = random.Random(name)
    for labels in (2,) if name == "f1" else (2, 3, 5):
        for rows in (1, 2, 7, 100, 1001):
            for _ in range(10):
                gold = [rng.randrange(labels) for _ in range(rows)]
                predicted = [g if rng.random() < 0.4 else rng.randrange(labels) for g in gold]
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    value, theirs = METRICS[name].compute(gold, predicted), THEIRS[name]
                    assert value == float(theirs(gold, predicted)), (gold, predicted)


MATTHEWS = "Matthews correlation is 0: every "


@pytest.mark.parametrize(
    ("gold", "predicted", "expected", "notes"),
    [
        ([1, 1], [1, 1], (1.0, 1.0, 0.0), [f"{MATTHEWS}gold value is 1"]),
        (
            [0, 0],
            [0, 0],
            (1.0, 0.0, 0.0),
            ["F1 is 0: label 1 is neither gold nor predicted", f"{MATTHEWS}gold value is 0"],
        ),
        ([0, 1], [0, 0], (0.5, 0.0, 0.0), [f"{MATTHEWS}prediction is 0"]),
        ([0, 0], [1, 1], (0.0, 0.0, 0.0), [f"{MATTHEWS}gold value is 0"]),
        ([1, 1, 1, 0], [1, 1, 1, 1], (0.75, 6 / 7, 0.0), [f"{MATTHEWS}prediction is 1"]),
        ([0, 1], [0, 1], (1.0, 1.0, 1.0), []),
    ],
)
def test_one_class_or_constant_predictions_are_a_number_and_a_note(
    gold: list[int], predicted: list[int], expected: tuple[float, ...], notes: list[str]
) -> None:
    names = ["accuracy", "f1", "matthews_correlation"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # none leaves `score`
        values, found = score(names, gold, predicted)
    assert tuple(values.values()) == pytest.approx(expected)
    assert found == notes


@pytest.mark.parametrize("name", ["pearson", "spearman"])
def test_a_correlation_with_a_constant_is_0_and_a_note(name: str) -> None:
    for gold, predicted in (([1.5, 1.5], [0.1, 0.2]), ([0.1, 0.2], [3, 3]), ([1.0], [2.0])):
        values, notes = score([name], gold, predicted)
        assert values == {name: 0.0}
        assert len(notes) == 1 and notes[0].startswith(METRICS[name].title + " is 0: every ")
    with pytest.raises(ValueError, match="not a finite number"):
        score([name], [1.0, 2.0, 3.0], [1.0, math.nan, 2.0])


def test_exact_match_compares_numbers_by_value_and_texts_as_they_are() -> None:
    equal = [("1000", "$1,000.00"), ("72", " 72. "), ("-3", "-3.0"), ("Paris", "Paris\n")]
    equal += [
        ("-5", "-$5"),
        ("2", "+2"),
        ("12", "€12"),
        ("12", "**12**"),
        ("-5", "−5"),
        ("3", "3 €"),
    ]
    other = [
        ("72", "7 2"),
        ("72", "-72"),
        ("Paris", "paris"),
        ("1", "one"),
        ("nan", "inf"),
        ("", "0"),
        ("23", "2*3"),
        ("5", "-$-5"),
    ]
    for pairs, expected in ((equal, 1.0), (other, 0.0)):
        for gold, predicted in pairs:
            assert metrics.exact_match([gold], [predicted]) == expected, (gold, predicted)


def test_bleu_and_perplexity_at_their_ends() -> None:
    text = "the cat sat on the mat"
    assert score(["bleu"], [text], [text]) == ({"bleu": pytest.approx(1.0)}, [])
    assert score(["bleu"], ["a"], ["a"]) == (
        {"bleu": 0.0}, ["BLEU is 0: no four words in a row are right"],
    )  # fmt: skip
    # two words of four and no pair: sacrebleu then counts 1/2, 1/4 and 1/8 of a match
    value, notes = score(["bleu"], ["the cat sat on"], ["a cat saw the"])
    smoothed = (2 / 4 * (1 / 2) / 3 * (1 / 4) / 2 * (1 / 8) / 1) ** (1 / 4)
    assert value == {"bleu": pytest.approx(smoothed)}
    assert notes == [f"BLEU is {smoothed:.2g}: no four words in a row are right"]
    assert metrics.perplexity([2, 1], [3 * math.log(5), 0.0]) == pytest.approx(5)
    with pytest.raises(ValueError, match="no tokens"):
        metrics.perplexity([0], [0.0])
    for loss in (math.inf, math.nan, 1e4):
        with pytest.raises(ValueError, match="has no perplexity"):
            metrics.perplexity([1], [loss])


@pytest.mark.parametrize("name", METRICS)
def test_empty_or_unequal_input_raises(name: str) -> None:
    with pytest.raises(ValueError, match="no rows"):
        METRICS[name].compute([], [])
    with pytest.raises(ValueError, match="2 gold values but 1 predictions"):
        METRICS[name].compute([0, 1], [0])


def test_score_keeps_the_order_and_knows_its_names() -> None:
    assert list(score(("f1", "accuracy"), [0, 1], [0, 1])[0]) == ["f1", "accuracy"]
    with pytest.raises(BenchError, match=r"unknown metric 'acuracy'\. Did you mean 'accuracy'"):
        score(["acuracy"], [0], [0])
