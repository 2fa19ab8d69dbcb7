"""Files of strangers end in one line, never in a traceback; more of them: strangers.py."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.board.leaderboard import boards
from bench.core.errors import BenchError
from bench.render import markdown, tidy
from tests.faults.strangers import TARGETS, attempt
from tests.helpers.made_up import result


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.__name__)
def test_changed_at_random_a_file_is_read_or_refused_in_one_line(target: Any) -> None:
    @settings(max_examples=150, deadline=None, database=None, derandomize=True)
    @given(st.integers(0, 2**32))
    def changed(seed: int) -> None:
        assert attempt(target, seed) in ("read", "refused")

    changed()


def test_no_label_is_a_link_a_tag_or_a_formula() -> None:
    odd = ["[a](javascript:alert)", "<script>", "=HYPERLINK(1)", "+1", "@x", "-2+3"]
    found = boards(
        [result("ewc", label=label, seed=n, settings={"n": n}) for n, label in enumerate(odd)]
    )
    text = markdown.render(found)
    assert "](" not in text and "<script" not in text
    rows = list(csv.DictReader(io.StringIO(tidy.to_csv(tidy.records(found)))))
    names = {row["method"] for row in rows}
    assert {f"'{name}" for name in odd[2:]} <= names and odd[1] in names


def test_a_mistake_is_one_line_that_can_be_printed() -> None:
    error = BenchError("no \x1b[31mfile\n\u202e here")
    assert str(error) == "no ?[31mfile ? here"
