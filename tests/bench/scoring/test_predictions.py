"""What is answered, by the likelihoods of the possible answers, and by a written text."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from scipy.stats import sem

from bench.network.batches import Encoded
from bench.planning.plugins import load_builtin
from bench.rows.task import TASKS
from bench.scoring.predictions import (
    Outputs,
    beyond_chance,
    correct,
    flips,
    gold_loss,
    is_right,
    predict,
    rise_error,
    struck_out,
    task_scores,
)

load_builtin()
PSYCHOL, COLA, STSB, GSM8K = map(TASKS.get, ("psychol", "cola", "stsb", "gsm8k"))
CHOICES = {"a": "sand", "b": "sand dunes", "c": "Rain", "d": "x"}
ROW = {"id": "0", "question": "?", **CHOICES, "label": 0}


def rows(gold: list[int], tokens: list[int], sizes: list[int]) -> Encoded:
    """Rows whose answers have so many tokens and bytes."""
    answers = [[[7] * count for count in tokens] for _ in gold]
    ids = [str(i) for i in range(len(gold))]
    return Encoded(ids, gold, [[1]] * len(gold), answers, [], 0, [sizes] * len(gold))


def test_what_is_answered_once_the_foil_is_struck_out() -> None:
    rng = random.Random(3)
    asked = rows([rng.randrange(4) for _ in range(200)], tokens=[1, 4, 2, 2], sizes=[2, 20, 5, 5])
    scores = [[float(rng.randrange(-5, 0)) for _ in range(4)] for _ in asked.gold]
    foils = [rng.choice([None, *{0, 1, 2, 3} - {gold}]) for gold in asked.gold]
    expected = []
    for row, foil in zip(scores, foils, strict=True):
        if foil is None:
            continue
        best = None
        for place in range(4):
            if place != foil and (best is None or row[place] > row[best]):
                best = place
        expected.append(best)
    assert struck_out(PSYCHOL, asked, Outputs(scores), foils) == expected
    assert set(expected) == {0, 1, 2, 3} and len(expected) < 200
    two = rows([0, 1], tokens=[1, 3], sizes=[2, 3])
    assert struck_out(COLA, two, Outputs([[-9.0, -1.0]] * 2), [1, None]) == [0]
    assert struck_out(STSB, two, Outputs([[-9.0, -1.0]] * 2), [1, 0]) is None
    assert struck_out(PSYCHOL, two, Outputs([[-9.0, -1.0]] * 2), [None, None]) == []


def test_a_choice_is_answered_by_its_whole_likelihood_and_per_byte() -> None:
    asked = rows([0, 1, 1], tokens=[1, 4, 2, 2], sizes=[2, 20, 5, 5])
    scores = [[-2.0, -8.0, -9.0, -9.0], [-2.0, -8.0, -9.0, -9.0], [-9.0, -8.0, -9.0, -9.0]]
    assert predict(PSYCHOL, asked, Outputs(scores)) == [0, 0, 1]
    # per byte: -1.0, -0.4, -1.8: the second, whatever its length; then -4.5, -0.4, -1.8
    assert task_scores(PSYCHOL, asked, Outputs(scores))[0] == {
        "accuracy": pytest.approx(2 / 3),
        "accuracy_norm": pytest.approx(2 / 3),
    }
    scores = [[-2.0, -8.0, -1.0, -9.0]] * 3
    assert task_scores(PSYCHOL, asked, Outputs(scores))[0] == {
        "accuracy": 0.0,
        "accuracy_norm": 0.0,
    }


def test_a_label_is_answered_by_its_words_likelihood_per_token() -> None:
    asked = rows([0, 1], tokens=[3, 1], sizes=[9, 3])
    scores = [[-3.3, -1.2], [-3.9, -1.2]]
    assert predict(COLA, asked, Outputs(scores)) == [0, 1]
    assert gold_loss(asked, Outputs(scores)) == pytest.approx((1.1 + 1.2) / 2)


def test_a_head_has_logits_that_nothing_divides() -> None:
    asked = Encoded(["0", "1"], [0, 1], [[1], [1]], [], [], 0)
    assert predict(COLA, asked, Outputs([[2.0, 1.0], [-1.0, 0.5]])) == [0, 1]


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
    before, after = [True, False, True, False], [False, True, False, False]
    found = flips(before, after, [0.0] * len(before))
    shares = {"lost": 0.5, "gained": 0.25}
    assert found == {**shares, **{f"{name}_adjusted": share for name, share in shares.items()}}


def test_adjusted_flips_are_what_was_known_and_what_was_learned() -> None:
    """Every way in which rows that are not known may be guessed, weighted by its chance: the mean
    of the adjusted shares is that of the rows that were known and are not, and the reverse."""
    known = [(True, True), (True, False), (False, True), (False, False), (False, False)]
    chance = [0.5, 0.25, 0.5, 0.5, 0.25]
    lost = gained = 0.0
    for answers in itertools.product((True, False), repeat=2 * len(known)):
        weight, before, after = 1.0, answers[::2], answers[1::2]
        for row in zip(known, before, after, chance, strict=True):
            (knew, knows), was, now, c = row
            for knowledge, right in ((knew, was), (knows, now)):
                weight *= (1.0 if right else 0.0) if knowledge else (c if right else 1 - c)
        lost += weight * beyond_chance(before, after, chance)
        gained += weight * beyond_chance(after, before, chance)
    assert (lost, gained) == pytest.approx((1 / 5, 1 / 5))
    none = flips([False, False], [False, False], [0.5, 0.5])
    assert none["lost_adjusted"] == 0, "no loss is never less than nothing"


def test_a_score_is_the_mean_by_the_probabilities_of_its_words() -> None:
    asked = rows([5, 0], tokens=[1] * 6, sizes=[1] * 6)
    asked.references = [4.6, 0.0]
    shares = [0.0, 0.1, 0.1, 0.0, 0.2, 0.6]  # of all words, these six share a thousandth
    scores = [[math.log(1e-3 * (share or 1e-30)) for share in shares], [-700.0] * 6]
    outputs = Outputs(scores)
    want = [0.1 * 1 + 0.1 * 2 + 0.2 * 4 + 0.6 * 5, 2.5]
    assert predict(STSB, asked, outputs) == pytest.approx(want)
    assert correct(STSB, asked, want) is None
    assert set(task_scores(STSB, asked, outputs)[0]) == {"pearson", "spearman"}
    head = Encoded(["0"], [5], [[1]], [], [], 0, references=[4.6])
    assert predict(STSB, head, Outputs([[4.25]])) == [4.25]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("6 + 7 = 13.\n#### 13", "13"),
        ("#### $1,300.", "1300"),
        ("#### -4\n#### 13", "-4"),
        ("the answer is 13", None),
    ],
)
def test_of_a_solution_only_its_number_counts(text: str, number: str | None) -> None:
    row = {"id": "0", "question": "?", "answer": f"As is known.\n#### {number or 13}", "label": 0}
    assert is_right(GSM8K, row, text) is (number is not None)
    asked = rows([0], tokens=[3], sizes=[3])
    asked.references = [number or "13"]
    outputs = Outputs([[-3.0]], [text])
    assert correct(GSM8K, asked, predict(GSM8K, asked, outputs)) == [number is not None]
    assert task_scores(GSM8K, asked, outputs)[0] == {"exact_match": float(number is not None)}


def test_the_error_of_a_rise_is_that_of_its_blocks() -> None:
    draw = random.Random(0)
    was = [draw.uniform(50, 150) for _ in range(40)]
    now = [value + draw.uniform(0, 20) for value in was]
    rises = [b - a for a, b in zip(was, now, strict=True)]
    error = rise_error(was, now, [100] * 40)
    assert error == pytest.approx(sem([rise / 100 for rise in rises]), rel=1e-9)
    sizes = [draw.randrange(20, 128) for _ in range(40)]
    now = [a + size * rise / 100 for a, size, rise in zip(was, sizes, rises, strict=True)]
    kept = [[i for i in range(40) if i != out] for out in range(40)]
    means = [sum(now[i] - was[i] for i in rows) / sum(sizes[i] for i in rows) for rows in kept]
    jackknife = math.sqrt(39 / 40 * sum((mean - sum(means) / 40) ** 2 for mean in means))
    assert rise_error(was, now, sizes) == pytest.approx(jackknife, rel=0.03)
    assert rise_error([1.0], [2.0], [3]) is None
