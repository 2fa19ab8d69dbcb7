"""Boards as text for a terminal: no colour, and nothing that its encoding cannot write."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence

import tabulate

from bench.board.leaderboard import Board
from bench.render.sections import Page, Section, page

WIDTH = 100
LABEL_WIDTH = 24
# Two blanks around every heading would make thirteen columns wider than most windows.
tabulate.MIN_PADDING = 0
_ASCII = str.maketrans({"±": "+-", "×": "x", "–": "-", "−": "-", "…": "..."})


def render(boards: Sequence[Board], encoding: str = "utf-8") -> str:
    """All boards, ending with a line break; `encoding` is that of the output."""

    def fit(line: str) -> str:
        return _fit(line, encoding)

    return "\n\n".join(_page(page(board), fit) for board in boards) + "\n"


def _page(shown: Page, fit: Callable[[str], str]) -> str:
    name = fit(shown.heading)
    facts = [_wrap(fit(line), "  ") for line in shown.facts]
    sections = [_section(section, fit) for section in shown.sections]
    return "\n\n".join(
        ["\n".join([name, "=" * len(name), *facts]), *sections, _wrap(fit(shown.legend))]
    )


def _section(section: Section, fit: Callable[[str], str]) -> str:
    lines = _grid([column.heading for column in section.columns], section.rows, fit)
    notes = [_wrap(fit(f"! {note}"), "  ") for note in section.notes]
    return "\n".join([_wrap(fit(section.title), "  "), *lines, *notes])


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
