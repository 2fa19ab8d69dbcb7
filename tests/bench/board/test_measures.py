"""The table of measures, its page in docs/, and what one more entry takes: nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.board import measures
from bench.board.leaderboard import boards
from bench.board.measures import MEASURES, SCORE, SHARE, Measure, scale
from bench.render import html, markdown, terminal, tidy
from tests.helpers.made_up import result

DOCS = Path(__file__).parents[3] / "docs"
ROWS = re.findall(
    r"^\| `(\w+)` \| (.*?) \| (.*?) \| (.*?)\| .+ \|$",
    (DOCS / "measures.md").read_text("utf-8"),
    re.M,
)


def test_every_measure_stands_in_the_docs_with_its_column_and_unit_in_this_order() -> None:
    entries = [(m.name, " ".join(m.heading.split()), m.unit, m.better or "") for m in MEASURES]
    words = [(*row[:3], {"more": "more", "less": "less"}.get(row[3][:4], "")) for row in ROWS]
    assert entries == words


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: str(measure.name))
def test_a_heading_is_short_and_explained(measure: Measure) -> None:
    lines = measure.heading.split("\n")
    assert 1 <= len(lines) <= 3 and max(map(len, lines)) <= 11
    assert lines[0] in measure.legend and measure.legend.endswith(".")
    assert format(1.0, measure.format)


def test_scores_and_shares_are_shown_in_percent_but_no_perplexity() -> None:
    assert [scale(unit, False) for unit in (SCORE, SHARE, "s")] == [100, 100, 1]
    assert [scale(unit, True) for unit in (SCORE, SHARE, "s")] == [1, 100, 1]


@pytest.fixture
def table_of_this_test() -> Iterator[None]:
    before = list(MEASURES)
    yield
    MEASURES[:] = before


def block(language: str) -> str:
    """The page's one block in a language."""
    text = (DOCS / "add_a_measure.md").read_text("utf-8")
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)
    return str(found)


@pytest.mark.usefixtures("table_of_this_test")
def test_one_more_entry_is_in_every_form_and_passes_its_test() -> None:
    added = [line[1:] for line in block("diff").splitlines() if re.match(r"\+(?!\+)", line)]
    (cut,) = eval(f"[{''.join(added)}]", vars(measures))
    cell = result()
    cell["data"]["truncated_rows"] = 17
    shown = [form.render(boards([cell])) for form in (terminal, markdown, html)]
    assert not [text for text in shown if "cut" in text]

    MEASURES.append(cut)
    board = boards([cell])
    shown = [terminal.render(board, width=200), markdown.render(board), html.render(board)]
    assert [text for text in shown if "cut" in text and "17" in text] == shown
    assert json.loads(tidy.to_json(board))[0]["cut"] == 17
    header, row = tidy.to_csv(tidy.records(board)).splitlines()[:2]
    assert dict(zip(header.split(","), row.split(","), strict=True))["cut"] == "17.0"

    test: dict[str, object] = {}
    exec(block("python"), test)
    run = test["test_what_was_cut"]
    assert callable(run)
    run()


def test_every_field_of_an_entry_is_explained() -> None:
    text = (DOCS / "add_a_measure.md").read_text("utf-8")
    fields = Measure.__dataclass_fields__.keys()
    needed = {"name", "heading", "format", "legend", "from_result"}  # those that the example shows
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.M)) == fields - needed
