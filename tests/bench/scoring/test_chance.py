"""The majority's score, and how alike answers are, against figures worked out by hand."""

from __future__ import annotations

import warnings

import pytest
from sklearn.dummy import DummyClassifier
from sklearn.metrics import f1_score

from bench.scoring.chance import given, majority

GOLD = [1, 0, 1, 1, 2, 0]


def test_the_majority_is_that_of_sklearns_dummy() -> None:
    rows = [[0]] * len(GOLD)
    dummy = DummyClassifier(strategy="most_frequent").fit(rows, GOLD)
    assert majority("accuracy", GOLD) == dummy.score(rows, GOLD) == 0.5
    want = f1_score(GOLD, dummy.predict(rows), average="macro", zero_division=0)
    assert majority("f1_macro", GOLD) == pytest.approx(want)


def test_of_correlations_it_is_nothing_and_of_losses_there_is_none() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert majority("matthews_correlation", GOLD) == 0.0
        assert majority("pearson", [0.5, 2.5, 0.5]) == 0.0
    assert majority("exact_match", ["a", "b", "a", "c"]) == 0.5
    assert majority("perplexity", [3, 4]) is None and majority("average", GOLD) is None
    assert majority("f1", [0, 1, 1, 0]) == 0.0  # of equally common answers the least


def test_answers_are_known_by_how_alike_they_are_and_by_their_hash() -> None:
    assert given([0, 0, 0, 1])["share"] == 0.75
    assert given([0, 1]) == given((0, 1)) != given([1, 0])
    assert given(["a", "a"])["share"] == 1.0 and given([0.5, 0.25])["share"] == 0.5
