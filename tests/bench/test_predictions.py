"""What is answered, by the likelihoods of the possible answers, and by a written text."""

from __future__ import annotations

import pytest

from bench.data import Encoded
from bench.predictions import accuracy_and_loss, flips, is_right, predict, task_scores
from bench.registry import TASKS, load_builtin

load_builtin()
PSYCHOL, COLA = TASKS.get("psychol"), TASKS.get("cola")
CHOICES = {"a": "sand", "b": "sand dunes", "c": "Rain", "d": "x"}
ROW = {"id": "0", "question": "?", **CHOICES, "label": 0}


def rows(gold: list[int], tokens: list[int], sizes: list[int]) -> Encoded:
    """Rows whose answers have so many tokens and bytes."""
    answers = [[[7] * count for count in tokens] for _ in gold]
    ids = [str(i) for i in range(len(gold))]
    return Encoded(ids, gold, [[1]] * len(gold), answers, [], 0, [sizes] * len(gold))


def test_a_choice_is_answered_by_its_whole_likelihood_and_per_byte() -> None:
    asked = rows([0, 1, 1], tokens=[1, 4, 2, 2], sizes=[2, 20, 5, 5])
    scores = [[-2.0, -8.0, -9.0, -9.0], [-2.0, -8.0, -9.0, -9.0], [-9.0, -8.0, -9.0, -9.0]]
    assert predict(PSYCHOL, asked, scores) == [0, 0, 1]
    # per byte: -1.0, -0.4, -1.8: the second, whatever its length; then -4.5, -0.4, -1.8
    assert task_scores(PSYCHOL, asked, scores)[0] == {
        "accuracy": pytest.approx(2 / 3),
        "accuracy_norm": pytest.approx(2 / 3),
    }
    scores = [[-2.0, -8.0, -1.0, -9.0]] * 3
    assert task_scores(PSYCHOL, asked, scores)[0] == {
        "accuracy": 0.0,
        "accuracy_norm": 0.0,
    }


def test_a_label_is_answered_by_its_words_likelihood_per_token() -> None:
    asked = rows([0, 1], tokens=[3, 1], sizes=[9, 3])
    scores = [[-3.3, -1.2], [-3.9, -1.2]]
    assert predict(COLA, asked, scores) == [0, 1]
    share, loss = accuracy_and_loss(COLA, asked, scores)
    assert (share, loss) == (1.0, pytest.approx((1.1 + 1.2) / 2))


def test_a_head_has_logits_that_nothing_divides() -> None:
    asked = Encoded(["0", "1"], [0, 1], [[1], [1]], [], [], 0)
    assert predict(COLA, asked, [[2.0, 1.0], [-1.0, 0.5]]) == [0, 1]


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("sand", True),
        (" Sand, of course.", True),
        ("sandy", False),  # another word
        ("sand dunes", False),  # a longer, wrong choice
        ("sand dunesque", True),
        ("the sand", False),
        ("", False),
    ],
)
def test_a_written_answer_is_right_if_it_begins_with_the_choice(text: str, right: bool) -> None:
    assert is_right(PSYCHOL, ROW, text) is right


def test_a_written_label_word() -> None:
    row = {"id": "0", "sentence": "A cat sat.", "label": 0}
    assert [is_right(COLA, row, t) for t in (" no", "No.", "none", "yes", "")] == [
        True, True, False, False, False,
    ]  # fmt: skip


def test_flips_count_changes_of_being_right() -> None:
    assert flips([0, 1, 2, 0], [0, 0, 2, 1], [1, 1, 0, 2]) == {"lost": 0.5, "gained": 0.25}
