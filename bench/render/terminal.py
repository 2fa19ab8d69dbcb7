"""Boards as text for a terminal: no colour, and nothing that its encoding cannot write."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence

import tabulate

from bench.board.leaderboard import Board, Table
from bench.render import text

WIDTH = 100
LABEL_WIDTH = 24
# Two blanks around every heading would make thirteen columns wider than most windows.
tabulate.MIN_PADDING = 0
_ASCII = str.maketrans({"±": "+-", "×": "x", "–": "-", "−": "-", "…": "..."})


def render(boards: Sequence[Board], encoding: str = "utf-8") -> str:
    """All boards, ending with a line break; `encoding` is that of the output."""

    def fit(line: str) -> str:
        return _fit(line, encoding)

    return "\n\n".join(_board(board, fit) for board in boards) + "\n"


def _board(board: Board, fit: Callable[[str], str]) -> str:
    name = fit(text.heading(board))
    facts = [_wrap(fit(line), "  ") for line in text.facts(board)]
    tables = [_table(table, fit) for table in text.tables(board)]
    if board.transfers:
        headings, rows = text.transfer_headings(board), text.transfer_rows(board)
        tables.append(_titled(text.transfer_title(board), headings, rows, fit))
    if board.elicitations:
        headings, rows = list(text.ELICITATION_HEADINGS), text.elicitation_rows(board)
        tables.append(_titled(text.ELICITATION_TITLE, headings, rows, fit))
    if board.outsides:
        headings, rows = list(text.OUTSIDE_HEADINGS), text.outside_rows(board)
        tables.append(_titled(text.OUTSIDE_TITLE, headings, rows, fit))
    return "\n\n".join(
        ["\n".join([name, "=" * len(name), *facts]), *tables, _wrap(fit(text.legend(board)))]
    )


def _table(table: Table, fit: Callable[[str], str]) -> str:
    lines = _grid([column.heading for column in text.columns(table)], text.rows(table), fit)
    notes = [_wrap(fit(f"! {text.one_line(note)}"), "  ") for note in table.notes]
    return "\n".join([_wrap(fit(text.title(table)), "  "), *lines, *notes])


def _titled(
    title: str, headings: list[str], rows: list[list[str]], fit: Callable[[str], str]
) -> str:
    return "\n".join([_wrap(fit(title), "  "), *_grid(headings, rows, fit)])


def _grid(
    headings: Sequence[str], rows: Sequence[Sequence[str]], fit: Callable[[str], str]
) -> list[str]:
    """The lines of a table whose first column holds words and the others figures."""
    cells = [[fit(cell) for cell in row] for row in rows]
    for row in cells:
        row[0] = "\n".join(textwrap.wrap(row[0], LABEL_WIDTH))
    grid = tabulate.tabulate(
        cells,
        headers=[fit(heading) for heading in headings],
        colalign=["left"] + ["right"] * (len(headings) - 1),
        disable_numparse=True,
    )
    return [line.rstrip() for line in grid.splitlines()]


def _wrap(line: str, indent: str = "") -> str:
    return textwrap.fill(line, WIDTH, subsequent_indent=indent)


def _fit(line: str, encoding: str) -> str:
    """`line` in characters that `encoding` has. Before the layout: replacements may be longer."""
    try:
        line.encode(encoding)
    except UnicodeEncodeError:
        return line.translate(_ASCII).encode(encoding, "replace").decode(encoding)
    return line
