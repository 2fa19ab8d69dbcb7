"""Rows are found again by the hash of what they were read from, and said to be others if not."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.core.hashing import digest
from bench.planning.plugins import load_builtin
from bench.rows.lookup import Lookup
from bench.rows.prompting import by_letter
from bench.rows.source import source_of
from bench.rows.task import TASKS


@pytest.fixture(autouse=True)
def builtin() -> None:
    load_builtin()


def fingerprint(name: str, data: str) -> str:
    return source_of(TASKS.get(name), data).fingerprint(TASKS.get(name))


def test_the_rows_of_a_task_and_of_a_sequence(tiny_data: Path) -> None:
    data = str(tiny_data)
    lookup, hashes = Lookup(data), [fingerprint(name, data) for name in ("cola", "rte")]
    found = lookup.rows(["cola"], hashes[0], letters=False)
    assert isinstance(found, dict)
    rows = source_of(TASKS.get("cola"), data).rows(TASKS.get("cola"), "dev")
    assert [asked.row for asked in found.values()] == rows
    assert list(found) == [row["id"] for row in rows]
    both = lookup.rows(["cola", "rte"], digest([{"hash": h} for h in hashes]), letters=False)
    assert isinstance(both, dict) and all(id.startswith(("cola-", "rte-")) for id in both)


def test_choices_by_letter_have_letters_as_answers() -> None:
    found = Lookup("micro").rows(["qasc"], fingerprint("qasc", "micro"), letters=True)
    assert isinstance(found, dict)
    task, row = next(iter(found.values()))
    assert task == by_letter(TASKS.get("qasc"))
    assert task.reference(row) == "ABCDEFGH"[row["label"]]


@pytest.mark.parametrize(
    ("task", "data", "why"),
    [
        ("cola", "micro", "micro has other rows"),
        ("nothing", "micro", "the task nothing is not known here"),
        ("boolq", "micro", "micro has no rows of boolq"),
        ("cola", "nowhere", "nowhere has no rows of cola"),
    ],
)
def test_why_rows_are_not_at_hand(task: str, data: str, why: str) -> None:
    assert Lookup(data).rows([task], "0" * 64, letters=False) == why
