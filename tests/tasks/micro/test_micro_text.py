"""The pretraining text and the planted conflict.

What a text repeats is judged by tasks.micro.truth.
"""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from bench.rows.task import SPLITS
from tasks.micro import world
from tasks.micro.facts import fact_rows
from tasks.micro.prompts import PROMPTS, answer, prompt
from tasks.micro.rows import LABELS, samples, target_keys
from tasks.micro.sample import Sample
from tasks.micro.text import (
    CONFLICT_SHARE,
    Document,
    documents,
    retention_documents,
    retention_text,
)
from tasks.micro.truth import is_conflicting

COUNT = 30_000


@pytest.fixture(scope="module")
def conflicted() -> list[Document]:
    return list(documents(COUNT, conflict=True))


@pytest.fixture(scope="module")
def clean() -> list[Document]:
    return list(documents(COUNT, conflict=False))


def test_same_documents_but_for_disputed_items(
    conflicted: list[Document], clean: list[Document]
) -> None:
    assert abs(len(conflicted) - len(clean)) < 0.005 * COUNT
    assert not any(document.old for document in clean)
    share = sum(document.old for document in conflicted) / len(conflicted)
    assert abs(share - CONFLICT_SHARE) < 0.01
    in_clean = {document.text for document in clean}
    told_alike = [d.text in in_clean for d in conflicted if not d.old]
    assert sum(told_alike) > 0.99 * len(told_alike)


def test_no_row_of_a_task_is_read_in_pretraining(
    conflicted: list[Document], clean: list[Document]
) -> None:
    texts = {document.text for document in [*conflicted, *clean]}
    for task in PROMPTS:
        for split, label in itertools.product(("train", "dev"), range(LABELS[task])):
            assert not any(_told(task, s, label) in texts for s in samples(task, split))
    single = {key[0] for key in target_keys() if len(key) == 1}
    for document in [*conflicted, *clean]:
        if document.kind == "grammar":
            assert not {f"{part}." for part in document.text[:-1].split(". ")} & single


def test_retention_text_is_held_out(conflicted: list[Document], clean: list[Document]) -> None:
    texts = {document.text for document in [*conflicted, *clean]}
    assert not texts & retention_documents()
    assert 30_000 < len(retention_text()) < 100_000


def test_probes_tell_truth_from_foil() -> None:
    probes = fact_rows()
    assert len(probes) == 4 * len(world.PERSONS) == len({row["id"] for row in probes})
    assert all(row["answer"] != row["foil"] for row in probes)
    assert sum(row["disputed"] for row in probes) == len(probes) // 2
    for row in probes:
        assert is_conflicting(f"{row['question']} {row['answer']}") is False
        told = is_conflicting(f"{row['question']} {row['foil']}")
        assert told is (True if row["disputed"] else None)


def _told(task: str, sample: Sample, label: int) -> str:
    return f"{prompt(task, sample)} {answer(task, sample, label)}"


@pytest.mark.parametrize("task", PROMPTS)
def test_answers_to_prompts_are_judged_exactly(task: str) -> None:
    asked = Counter(prompt(t, s) for t in PROMPTS for p in SPLITS for s in samples(t, p))
    for sample in samples(task, "train")[:100]:
        if asked[prompt(task, sample)] > 1:
            continue  # rte and mnli ask a few questions in the same words, and answer them apart
        assert is_conflicting(_told(task, sample, sample.label)) is False
        for label in set(range(LABELS[task])) - {sample.label}:
            verdict = is_conflicting(f"<s> {_told(task, sample, label)}</s>")
            assert verdict is (True if label == sample.old else None)


def test_the_truth_of_free_text(conflicted: list[Document], clean: list[Document]) -> None:
    assert not any(is_conflicting(d.text) for d in clean)
    judged = [is_conflicting(d.text) for d in conflicted if d.old and d.kind == "facts"]
    assert sum(verdict is True for verdict in judged) > 0.4 * len(judged)
    assert is_conflicting("") is None
    assert is_conflicting("The boy goed to the park.") is next(
        True if item.disputed else None for item in world.ITEMS["past"] if item.word == "go"
    )
    assert is_conflicting("Answer: yes") is None
