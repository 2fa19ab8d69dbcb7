"""The pretraining text and the planted conflict.

What a text repeats is judged by tasks.micro.truth.
"""

from __future__ import annotations

import itertools

import pytest

from bench.rows.source import Told
from tasks.micro import world
from tasks.micro.facts import fact_rows
from tasks.micro.prompts import PROMPTS, answer, prompt
from tasks.micro.rows import LABELS, SIZES, samples, target_keys
from tasks.micro.sample import Sample
from tasks.micro.text import (
    CONFLICT_SHARE,
    Document,
    documents,
    retention_documents,
    retention_text,
)
from tasks.micro.truth import told

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
        for split, label in itertools.product(SIZES, range(LABELS[task])):
            assert not any(_told(task, s, label) in texts for s in samples(task, split))
    single = {key[0] for key in target_keys() if len(key) == 1}
    for document in [*conflicted, *clean]:
        if document.kind == "grammar":
            assert not {f"{part}." for part in document.text[:-1].split(". ")} & single


def test_retention_text_is_held_out(conflicted: list[Document], clean: list[Document]) -> None:
    texts = {document.text for document in [*conflicted, *clean]}
    assert not texts & retention_documents()
    for task in PROMPTS:
        for split, label in itertools.product(SIZES, range(LABELS[task])):
            told_there = (_told(task, s, label) for s in samples(task, split))
            assert retention_documents().isdisjoint(told_there)
    assert 30_000 < len(retention_text()) < 100_000


def test_probes_tell_truth_from_foil() -> None:
    probes = fact_rows()
    assert len(probes) == 4 * len(world.PERSONS) == len({row["id"] for row in probes})
    assert all(row["answer"] != row["foil"] for row in probes)
    assert sum(row["disputed"] for row in probes) == len(probes) // 2
    for row in probes:
        assert told_of(f"{row['question']} {row['answer']}") is False
        assert told_of(f"{row['question']} {row['foil']}") is (True if row["disputed"] else None)


def told_of(text: str) -> bool | None:
    """Whether the text is outdated; None where that cannot be told."""
    found = told(text)
    return None if found is None else found.conflicting


def _told(task: str, sample: Sample, label: int) -> str:
    return f"{prompt(task, sample)} {answer(task, sample, label)}"


@pytest.mark.parametrize("task", PROMPTS)
@pytest.mark.parametrize("split", SIZES)
def test_answers_to_prompts_are_judged_exactly(task: str, split: str) -> None:
    for sample in samples(task, split)[:100]:
        assert told(_told(task, sample, sample.label)) == Told(False, sample.item)
        for label in {sample.old, *range(LABELS[task])} - {sample.label}:
            verdict = told(f"<s> {_told(task, sample, label)}</s>")
            assert verdict == (Told(True, sample.item) if label == sample.old else None)


def test_the_truth_of_free_text(conflicted: list[Document], clean: list[Document]) -> None:
    assert not any(told_of(d.text) for d in clean)
    judged = [told_of(d.text) for d in conflicted if d.old and d.kind == "facts"]
    assert sum(verdict is True for verdict in judged) > 0.4 * len(judged)
    assert told("") is None
    assert told("The boy goed to the park.") == next(
        Told(True, "past go") if item.disputed else None
        for item in world.ITEMS["past"]
        if item.word == "go"
    )
    item = world.BY_WORD["job"]["Alda"]
    assert told(f"Alda works as {world.article(item.now)}.") == Told(False, "job Alda")
    assert told("Answer: yes") is None
