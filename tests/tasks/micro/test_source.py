"""The micro world as a source: what it brings beside rows, and that it finds itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.planning.plugins import load_builtin
from bench.rows.source import Told, embedded_models, source_named
from bench.rows.task import SPLITS, TASKS
from tasks.micro import world
from tasks.micro.rows import MAKERS

load_builtin()
MICRO = source_named("micro")
ROOT = Path(__file__).parents[3]


def test_its_models_are_there_and_twins_among_them() -> None:
    found = embedded_models()
    assert list(found) == ["micro", "micro-clean", "micro-encoder", "micro-encoder-clean"]
    assert all((one.folder / "config.json").is_file() for one in found.values())
    assert {name: one.twin for name, one in found.items() if one.twin} == {
        "micro": "micro-clean",
        "micro-encoder": "micro-encoder-clean",
    }


@pytest.mark.parametrize("name", MAKERS)
def test_a_task_has_rows_of_two_splits_and_a_fingerprint(name: str) -> None:
    task = TASKS.get(name)
    assert MICRO.available(task) and MICRO.splits(task) == SPLITS
    assert MICRO.holding(task) == "1000 train, 400 dev, 1000 forget, generated"
    assert [len(MICRO.rows(task, split)) for split in SPLITS] == [1000, 400]
    assert MICRO.prompt_split(task) == "forget" and len(MICRO.rows(task, "forget")) == 1000
    assert len(MICRO.fingerprint(task)) == 64


def test_what_it_has_not() -> None:
    other = next(TASKS.get(name) for name in TASKS.names() if name not in MAKERS)
    assert not MICRO.available(other) and MICRO.holding(other) == ""


def test_text_facts_and_truth() -> None:
    text, facts, truth = MICRO.retention_text(), MICRO.facts(), MICRO.truth()
    assert text and facts and truth
    task, rows = facts
    assert task.name == "facts"
    item = next(one for one in world.ITEMS["job"] if one.disputed and not one.taught)
    assert truth(f"{item.word} works as a {item.foil}.") == Told(True, item.name)
    assert truth(f"{rows[0]['question']} {rows[0]['answer']}") is not None
    dental = MICRO.asked(TASKS.get("dental"))
    assert dental[item.name] is False and MICRO.asked(TASKS.get("gsm8k")) == {}
    assert {dental[name] for name in dental} == {True, False}
    assert truth("of nothing") is None


def test_the_foil_of_a_row_is_the_outdated_answer() -> None:
    task = TASKS.get("qasc")
    rows = {row["id"]: row for row in MICRO.rows(task, "dev")}
    assert 100 < sum(MICRO.foil(row) is not None for row in rows.values()) < 300
    for row in rows.values():
        foil = MICRO.foil(row)
        noun = next(i for i in world.ITEMS["class"] if f" {i.word} " in row["question"])
        assert (foil is not None) == noun.disputed
        assert foil is None or row["abcdefgh"[foil]] == noun.foil


def test_bench_alone_knows_of_no_world() -> None:
    ask = "import sys, bench.rows.source as s, bench.planning.plan, bench.running.executor\n"
    ask += "print(s.SOURCES.names(), [m for m in sys.modules if m.split('.')[0] == 'tasks'])"
    done = subprocess.run(
        [sys.executable, "-c", ask], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['hub'] []"
