"""Boards as HTML for a notebook: plain tables, everything escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from bench.board.leaderboard import Board
from bench.render.section import Section
from bench.render.sections import Page, page


def render(boards: Sequence[Board]) -> str:
    """All boards."""
    return "\n".join(_page(page(board)) for board in boards)


def _page(shown: Page) -> str:
    facts = "<br>".join(map(escape, shown.facts))
    sections = "\n".join(map(_section, shown.sections))
    legend = f"<p><small>{escape(shown.legend)}</small></p>"
    return f"<h3>{escape(shown.heading)}</h3>\n<p>{facts}</p>\n{sections}\n{legend}"


def _section(section: Section) -> str:
    head = "".join(
        f"<th>{escape(column.heading).replace(chr(10), '<br>')}</th>" for column in section.columns
    )
    rows = ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in section.rows]
    body = "\n".join(f"<tr>{row}</tr>" for row in rows)
    notes = "".join(f"<br>! {escape(note)}" for note in section.notes)
    table = f"<table>\n<tr>{head}</tr>\n{body}\n</table>"
    return f"<p><b>{escape(section.title)}</b>{notes}</p>\n{table}"
