"""Boards as Markdown in GitHub's dialect."""

from __future__ import annotations

from collections.abc import Sequence

from bench.board.leaderboard import Board, Table
from bench.render import text


def render(boards: Sequence[Board]) -> str:
    """One document with a section per board."""
    return "\n".join(["# Leaderboard\n", *(_board(board) for board in boards)])


def _board(board: Board) -> str:
    facts = "\n".join(f"- {_escape(line)}" for line in text.facts(board))
    tables = [_table(table) for table in text.tables(board)]
    if board.transfers:
        headings, rows = text.transfer_headings(board), text.transfer_rows(board)
        tables.append(_titled(text.transfer_title(board), headings, rows))
    if board.elicitations:
        headings, rows = list(text.ELICITATION_HEADINGS), text.elicitation_rows(board)
        tables.append(_titled(text.ELICITATION_TITLE, headings, rows))
    if board.outsides:
        headings, rows = list(text.OUTSIDE_HEADINGS), text.outside_rows(board)
        tables.append(_titled(text.OUTSIDE_TITLE, headings, rows))
    body = "\n".join(tables)
    return f"## {_escape(text.heading(board))}\n\n{facts}\n\n{body}\n{text.legend(board)}\n"


def _table(table: Table) -> str:
    lines = _grid([column.heading for column in text.columns(table)], text.rows(table))
    blocks = [[f"### {_escape(text.title(table))}"], lines]
    if table.notes:
        blocks.append([f"- {_escape(note)}" for note in table.notes])
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _titled(title: str, headings: list[str], rows: list[list[str]]) -> str:
    return "\n".join([f"### {_escape(title)}\n", *_grid(headings, rows), ""])


def _grid(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table whose first column holds words and the others figures."""
    rules = [":---"] + ["---:"] * (len(headings) - 1)
    return [
        _line([_escape(heading) for heading in headings]),
        _line(rules),
        *(_line([_escape(cell) for cell in row]) for row in rows),
    ]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escape(words: str) -> str:
    """`words` on one line, showing its own characters rather than starting a cell or a tag."""
    return text.one_line(words).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
