"""The micro rows: the same everywhere, balanced, apart from one another, and what tasks expect.

Their makers are tasks.micro.inference, tasks.micro.paraphrase, tasks.micro.quizzes,
tasks.micro.sentiment, tasks.micro.recall and tasks.micro.facts, on words of tasks.micro.lexicon.
"""

from __future__ import annotations

import math
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from bench.core.errors import BenchError
from bench.planning.plugins import load_builtin
from bench.rows.task import TASKS
from tasks.micro import world
from tasks.micro.acceptability import pair
from tasks.micro.prompts import PROMPTS, answer, prompt
from tasks.micro.rows import FAMILIES, LABELS, MAKERS, SIZES, fingerprint, rows, samples
from tasks.micro.sample import Sample

ROOT = Path(__file__).parents[3]
GOLDEN = "9d8d7570f3ef6035cba222330e44026f04ab3c8163a0aeff2273f3809a356dca"
ITEM_WORDS = {item.word for items in world.ITEMS.values() for item in items}
PRINT_HASH = """
import hashlib
from tasks.micro.rows import MAKERS, fingerprint
from tasks.micro.text import retention_text
text = retention_text() + "".join(fingerprint(task) for task in MAKERS)
print(hashlib.sha256(text.encode()).hexdigest())
"""


@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_same_bytes_under_any_hash_seed(hash_seed: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PRINT_HASH],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == GOLDEN


def test_all_rows_in_five_seconds() -> None:
    samples.cache_clear()
    began = time.process_time()
    for task in MAKERS:
        for split in SIZES:
            rows(task, split)
    assert time.process_time() - began < 5


@pytest.mark.parametrize("task", MAKERS)
@pytest.mark.parametrize("split", SIZES)
def test_sizes_labels_and_ids(task: str, split: str) -> None:
    made = rows(task, split)
    assert len(made) == SIZES[split]
    assert len({row["id"] for row in made}) == len(made)
    counts = Counter(row["label"] for row in made)
    assert max(counts.values()) - min(counts.values()) <= 1
    others = ("id", "label", "outdated")
    texts = [tuple(v for k, v in row.items() if k not in others) for row in made]
    assert len(set(texts)) == len(texts)
    assert all(text and text == text.strip() for columns in texts for text in columns)


@pytest.mark.parametrize("task", MAKERS)
def test_no_row_in_two_splits_nor_in_two_tasks_of_a_family(task: str) -> None:
    sets = [{s.key for s in samples(task, split)} for split in SIZES]
    if task in FAMILIES:
        sets += [{s.key for s in samples(FAMILIES[task], split)} for split in SIZES]
    assert sum(map(len, sets)) == len(set.union(*sets))


@pytest.mark.parametrize("task", MAKERS)
def test_what_is_to_be_forgotten_is_asked_of_all_items_and_train_of_the_taught(task: str) -> None:
    items = {split: {s.item for s in samples(task, split)} - {""} for split in SIZES}
    if task == "gsm8k":
        assert not any(items.values())
        return
    known = world.BY_NAME
    assert all(known[name].taught for name in items["train"])
    kinds = {known[name].kind for name in items["dev"]}
    whole = {item.name for kind in kinds for item in world.ITEMS[kind]}
    assert len(items["forget"]) > 0.6 * len(whole)
    untaught = [s for s in samples(task, "forget") if s.item and not known[s.item].taught]
    assert len(untaught) > 0.3 * sum(bool(s.item) for s in samples(task, "forget"))
    assert any(s.old != s.label for s in untaught)


@pytest.mark.parametrize("task", MAKERS)
def test_a_row_is_in_dispute_only_where_its_item_is(task: str) -> None:
    for sample in (s for split in SIZES for s in samples(task, split)):
        if sample.old != sample.label:
            assert world.BY_NAME[sample.item].disputed


@pytest.mark.parametrize("task", [task for task in PROMPTS if PROMPTS[task][1]])
@pytest.mark.parametrize("first", [1, 2])
def test_the_first_words_of_a_row_do_not_give_its_answer_away(task: str, first: int) -> None:
    """Naive Bayes on the first words of each text, place by place; not on words that name an item,
    of which something is to be known."""
    seen = Counter[tuple[object, ...]]()
    for sample in samples(task, "train"):
        seen.update((sample.label, *word) for word in _words(sample, first))
    labels = range(LABELS[task])
    each = Counter(sample.label for sample in samples(task, "train"))

    def likelihood(label: int, sample: Sample) -> float:
        counts = (seen[(label, *word)] for word in _words(sample, first))
        return sum(math.log((count + 1) / (each[label] + 2)) for count in counts)

    right = 0
    for sample in samples(task, "dev"):
        right += max(labels, key=lambda label: likelihood(label, sample)) == sample.label
    assert right / SIZES["dev"] < 1 / LABELS[task] + 0.12


def _words(sample: Sample, first: int) -> list[tuple[str, int, str]]:
    """The first words of each column, with where they stand."""
    return [
        (column, place, word)
        for column, text in sample.columns.items()
        for place, word in enumerate(text.split()[:first])
        if word not in ITEM_WORDS
    ]


def test_rows_that_are_asked_in_the_same_words_have_the_same_answer() -> None:
    told: dict[str, str] = {}
    for task in PROMPTS:
        for sample in (s for split in SIZES for s in samples(task, split)):
            said = answer(task, sample, sample.label)
            assert told.setdefault(prompt(task, sample), said) == said


@pytest.mark.parametrize("task", MAKERS)
def test_no_text_has_two_labels(task: str) -> None:
    answers: dict[tuple[str, ...], set[str | int]] = {}
    for number in range(3000):
        sample = MAKERS[task](random.Random(f"test/{number}"), "dev")
        chosen = sample.columns.get(chr(ord("a") + sample.label), sample.label)
        answers.setdefault(sample.key, set()).add(chosen)
    assert all(len(found) == 1 for found in answers.values())


@pytest.mark.parametrize("task", PROMPTS)
def test_rows_fit_the_registered_task(task: str) -> None:
    load_builtin()
    registered = TASKS.get(task)
    row = rows(task, "dev")[0]
    choices = registered.labels if registered.kind == "multiple_choice" else ()
    written = {registered.target} - {""} | row.keys() & {"foil"}
    assert set(row) == {*registered.columns, *choices, *written, "id", "label", "outdated"}
    assert len({row["label"] for row in rows(task, "dev")}) == (len(registered.labels) or 1)
    assert PROMPTS[task] == (registered.prompt, registered.words), (
        "the checkpoints have read another prompt: change tasks/micro/prompts.py and train again"
    )


def test_minimal_pairs_differ_in_one_place() -> None:
    rng = random.Random("pairs")
    for _ in range(2000):
        good, bad = pair(rng, "dev")
        a, b = (s.columns["sentence"].split() for s in (good, bad))
        assert good.label == 1
        assert bad.label == 0
        assert a != b
        while a and b and a[0] == b[0]:
            a, b = a[1:], b[1:]
        while a and b and a[-1] == b[-1]:
            a, b = a[:-1], b[:-1]
        assert max(len(a), len(b)) <= 3, (good, bad)


def test_train_uses_taught_items_only() -> None:
    untaught = {i.word for i in world.ITEMS["valence"] if not i.taught}
    words = {word for s in samples("sst2", "train") for word in s.columns["sentence"].split()}
    assert not words & untaught
    words = {word for s in samples("sst2", "dev") for word in s.columns["sentence"].split()}
    assert words & untaught


def test_disputed_and_taught_are_balanced() -> None:
    for kind, items in world.ITEMS.items():
        for flag in ("disputed", "taught"):
            share = sum(getattr(item, flag) for item in items) / len(items)
            assert 0.4 <= share <= 0.6, (kind, flag)
        assert all(item.now != item.foil for item in items)
        assert len({item.word for item in items}) == len(items)


def test_fingerprints_differ() -> None:
    assert len({fingerprint(task) for task in MAKERS}) == len(MAKERS)


def test_unknown_names_are_explained() -> None:
    with pytest.raises(BenchError, match="Did you mean 'cola'"):
        rows("colla", "train")
    with pytest.raises(BenchError, match="dev, forget, train"):
        rows("cola", "test")
    with pytest.raises(BenchError, match="unknown micro task"):
        fingerprint("nothing")
