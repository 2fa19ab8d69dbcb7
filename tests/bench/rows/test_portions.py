"""Which training rows are learned and which are validated on, beside slow loops."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter

import pytest

from bench.core.errors import BenchError
from bench.planning.plugins import load_builtin
from bench.rows.portions import check, portions, split_off, subset
from bench.rows.task import TASKS, Row, Task


@pytest.fixture(scope="module")
def cola() -> Task:
    load_builtin()
    return TASKS.get("cola")


def made_up(count: int, seed: int, texts: int = 10**6) -> list[Row]:
    """Rows of CoLA, a quarter of them unacceptable; with few `texts` many ask the same."""
    rng = random.Random(seed)
    return [
        {"id": f"train-{i}", "sentence": f"text {(n := rng.randrange(texts))}", "label": n % 4 > 0}
        for i in range(count)
    ]


def ids(rows: list[Row]) -> list[str]:
    return [row["id"] for row in rows]


def test_a_subset_is_the_same_for_all_and_in_order() -> None:
    rows = [{"id": str(i)} for i in range(50)]
    assert subset(rows, None, "cola") == subset(rows, 60, "cola") == rows
    some = subset(rows, 10, "cola")
    assert some == subset(rows, 10, "cola") != subset(rows, 10, "rte")
    assert [int(row["id"]) for row in some] == sorted(int(row["id"]) for row in some)


@pytest.mark.parametrize(("wanted", "count"), [(0.1, 40), (60.0, 60), (0.125, 50)])
def test_the_rows_with_the_least_hashes_of_each_class(
    cola: Task, wanted: float, count: int
) -> None:
    """Each class in its own proportion, by hand: sort its rows by hash, take the first of them."""
    rows = made_up(400, seed=1)
    expected: set[str] = set()
    for label in (False, True):
        mine = [row for row in rows if row["label"] == label]
        quota = round(count * len(mine) / len(rows))
        hashes = {
            hashlib.sha256(
                json.dumps([row["sentence"]], separators=(",", ":")).encode()
            ).hexdigest(): row
            for row in mine
        }
        expected |= {hashes[name]["id"] for name in sorted(hashes)[:quota]}
    kept, taken = split_off(rows, cola, wanted)
    assert set(ids(taken)) == expected and len(taken) == count
    assert ids(kept) == [name for name in ids(rows) if name not in expected]


def test_rows_that_ask_the_same_are_on_one_side(cola: Task) -> None:
    rows = made_up(600, seed=2, texts=150)
    kept, taken = split_off(rows, cola, 0.2)
    assert not {row["sentence"] for row in kept} & {row["sentence"] for row in taken}
    assert len(kept) + len(taken) == 600 and 110 <= len(taken) <= 120
    rows[0]["label"] = not rows[0]["label"]  # the same question, answered in two ways
    for side in split_off(rows, cola, 0.2):
        there = [row["sentence"] == rows[0]["sentence"] for row in side]
        assert not any(there) or sum(there) == sum(
            row["sentence"] == rows[0]["sentence"] for row in rows
        )


def test_the_order_and_the_names_of_rows_do_not_matter(cola: Task) -> None:
    rows = made_up(300, seed=3)
    others = [{**row, "id": f"x{i}"} for i, row in enumerate(rows)]
    random.Random(0).shuffle(others)
    first, second = (split_off(given, cola, 0.1)[1] for given in (rows, others))
    assert Counter(r["sentence"] for r in first) == Counter(r["sentence"] for r in second)


def test_validation_rows_come_out_of_the_rows_that_are_used(cola: Task) -> None:
    rows = made_up(300, seed=4, texts=200)
    found = portions(rows, cola, 100, 20.0)
    used = subset(rows, 100, "cola")
    assert sorted(ids(found.learned + found.validation)) == sorted(ids(used))
    asked = {row["sentence"] for row in found.validation}
    assert found.others == [row for row in rows if row["sentence"] not in asked]
    assert portions(rows, cola, 100, None) == (used, [], rows)


def test_a_class_that_is_left_out_is_named(cola: Task) -> None:
    rows = [{"id": str(i), "sentence": str(i), "label": i > 0} for i in range(50)]
    with pytest.raises(BenchError, match="no validation row of cola would be of class unacceptab"):
        check(portions(rows, cola, None, 0.1), cola, 0.1)
    with pytest.raises(BenchError, match="no training row of cola would be of class unacceptable"):
        check(portions(rows, cola, None, 0.9), cola, 0.9)
    with pytest.raises(
        BenchError, match=r"--validation 0\.001: cola would have no validation rows"
    ):
        check(portions(rows, cola, None, 0.001), cola, 0.001)
    with pytest.raises(BenchError, match="--validation 50: cola would have no training rows"):
        check(portions(rows, cola, None, 50.0), cola, 50.0)


def test_scores_and_questions_are_one_class() -> None:
    load_builtin()
    stsb, qasc = TASKS.get("stsb"), TASKS.get("qasc")
    rows: list[Row] = [
        {"id": str(i), "sentence1": f"a{i}", "sentence2": "b", "label": i / 10} for i in range(50)
    ]
    kept, taken = split_off(rows, stsb, 5.0)
    assert (len(kept), len(taken)) == (45, 5)
    columns = dict.fromkeys((*qasc.columns, *qasc.labels), "same")
    choices: list[Row] = [
        {"id": str(i), **columns, qasc.labels[0]: str(i), "label": i % 3} for i in range(30)
    ]
    assert len(split_off(choices, qasc, 0.1)[1]) == 3  # other choices are other questions
