"""The micro rows: the same everywhere, balanced, apart from one another, and what tasks expect.

Their makers are tasks.micro.inference, tasks.micro.paraphrase, tasks.micro.quizzes,
tasks.micro.sentiment and tasks.micro.facts, on the words of tasks.micro.lexicon.
"""

from __future__ import annotations

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
from bench.rows.task import SPLITS, TASKS
from tasks.micro import world
from tasks.micro.acceptability import pair
from tasks.micro.prompts import PROMPTS
from tasks.micro.rows import MAKERS, SIZES, fingerprint, rows, samples

ROOT = Path(__file__).parents[3]
GOLDEN = "3a36358d13c6c25fc34e3b2199b59a14135ce7bab669b9bedd03ab44615dc350"
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
        for split in SPLITS:
            rows(task, split)
    assert time.process_time() - began < 5


@pytest.mark.parametrize("task", MAKERS)
@pytest.mark.parametrize("split", SPLITS)
def test_sizes_labels_and_ids(task: str, split: str) -> None:
    made = rows(task, split)
    assert len(made) == SIZES[split]
    assert len({row["id"] for row in made}) == len(made)
    counts = Counter(row["label"] for row in made)
    assert max(counts.values()) - min(counts.values()) <= 1
    texts = [tuple(v for k, v in row.items() if k not in ("id", "label")) for row in made]
    assert len(set(texts)) == len(texts)
    assert all(text and text == text.strip() for columns in texts for text in columns)


@pytest.mark.parametrize("task", MAKERS)
def test_no_row_in_both_splits(task: str) -> None:
    train, dev = ({s.key for s in samples(task, split)} for split in SPLITS)
    assert not train & dev


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
    written = [registered.target] if registered.target else []
    assert set(row) == {*registered.columns, *choices, *written, "id", "label"}
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
    with pytest.raises(BenchError, match="dev, train"):
        rows("cola", "test")
    with pytest.raises(BenchError, match="unknown micro task"):
        fingerprint("nothing")
