"""Boards as text for a terminal: no colour, and nothing that its encoding cannot write."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence

import tabulate

from bench.leaderboard import Board, Table
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
    return "\n\n".join(
        ["\n".join([name, "=" * len(name), *facts]), *tables, _wrap(fit(text.LEGEND))]
    )


def _table(table: Table, fit: Callable[[str], str]) -> str:
    cells = [[fit(cell) for cell in row] for row in text.rows(table)]
    for row in cells:
        row[0] = "\n".join(textwrap.wrap(row[0], LABEL_WIDTH))
    grid = tabulate.tabulate(
        cells,
        headers=[fit(column.heading) for column in text.COLUMNS],
        colalign=["left"] + ["right"] * (len(text.COLUMNS) - 1),
        disable_numparse=True,
    )
    lines = [line.rstrip() for line in grid.splitlines()]
    notes = [_wrap(fit(f"! {text.one_line(note)}"), "  ") for note in table.notes]
    return "\n".join([_wrap(fit(text.title(table)), "  "), *lines, *notes])


def _wrap(line: str, indent: str = "") -> str:
    return textwrap.fill(line, WIDTH, subsequent_indent=indent)


def _fit(line: str, encoding: str) -> str:
    """`line` in characters that `encoding` has. Before the layout: replacements may be longer."""
    try:
        line.encode(encoding)
    except UnicodeEncodeError:
        return line.translate(_ASCII).encode(encoding, "replace").decode(encoding)
    return line
