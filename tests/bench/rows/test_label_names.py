"""Labels by name: of heads in any order, of data sets in any order."""

from __future__ import annotations

import pytest

from bench.planning.plugins import load_builtin
from bench.rows.label_names import head_order, places
from bench.rows.task import TASKS

load_builtin()


@pytest.mark.parametrize(
    ("task", "names", "order"),
    [
        ("mnli", ["contradiction", "neutral", "entailment"], [2, 1, 0]),  # roberta-large-mnli
        ("mnli", ["CONTRADICTION", "NEUTRAL", "ENTAILMENT"], [2, 1, 0]),
        ("mnli", ["entailment", "neutral", "contradiction"], [0, 1, 2]),
        ("cb", ["contradiction", "neutral", "entailment"], [2, 0, 1]),
        ("rte", ["Not entailment", "Entailment"], [1, 0]),
        ("rte", ["entailment", "not-entailment"], [0, 1]),
        ("sst2", ["POSITIVE", "NEGATIVE"], [1, 0]),
        ("sst2", ["neg", "pos"], [0, 1]),
        ("cola", ["acceptable", "unacceptable"], [1, 0]),
        ("mrpc", ["equivalent", "not_equivalent"], [1, 0]),
        ("qqp", ["not_duplicate", "duplicate"], [0, 1]),
        ("boolq", ["True", "False"], [1, 0]),
        ("mnli", ["LABEL_0", "LABEL_1", "LABEL_2"], None),
        ("rte", ["contradiction", "neutral", "entailment"], None),
        ("sst2", ["negative", "neutral", "positive"], None),
        ("rte", ["entailment", "neutral"], None),
        ("rte", ["entailment", "entails"], None),
        ("rte", ["entailment"], None),
        ("stsb", ["LABEL_0"], None),
        ("rte", [], None),
        ("gsm8k", [], None),
        ("qasc", ["LABEL_0"], None),
        ("dental", ["a", "b", "c", "d"], None),  # its head has one output, for each choice
    ],
)
def test_the_order_of_a_head(task: str, names: list[str], order: list[int] | None) -> None:
    assert head_order(TASKS.get(task), names) == order


def test_no_two_labels_of_a_task_share_a_spelling() -> None:
    for name in TASKS.names():
        task = TASKS.get(name)
        assert places(task, task.labels) == list(range(len(task.labels)))
