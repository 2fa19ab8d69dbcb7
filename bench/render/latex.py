r"""Boards as LaTeX tables, to be pasted into a paper: they need \usepackage{booktabs} alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from bench.board.leaderboard import Board
from bench.render.layout import fitting
from bench.render.section import Column, Section
from bench.render.sections import page
from bench.render.wording import one_line

_WIDTH = 72  # characters of \small in a line of an article
_BEST = "*"  # in front of a figure
_SPREAD = "±"  # the heading of what goes with the figures before it
_TESTS = {
    _BEST: "Bold: no method is shown better, by the paired 95 % t-interval over seeds.",
    _SPREAD: "±: half-width of the 95 % t-interval over seeds.",
}
_ESCAPED = {c: f"\\{c}" for c in "%&_#${}"} | {c: f"${c}$" for c in "<>|"}
_SYMBOLS = _ESCAPED | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "[": "{[}",  # behind the end of a row it would be an option
    "±": r"$\pm$",
    "×": r"$\times$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "λ": r"$\lambda$",
    "θ": r"$\theta$",
    "α": r"$\alpha$",
    "²": "$^2$",
    "–": "--",
    "−": "$-$",
    "…": r"\ldots{}",
}
_JOINTS = re.compile(r"(?<=[,:])|(?<=\\_)|(?=\{\[\})")  # where a long name may be broken
_LETTERS = 0x180  # below it are those that LaTeX knows without a package


def render(boards: Sequence[Board], wide: bool = False) -> str:
    """A table environment per section; of the columns those that fit a page, or with `wide` all."""
    width = 10**6 if wide else _WIDTH
    tables = [_table(section, width) for board in boards for section in page(board).sections]
    return "\n\n".join(["% needs \\usepackage{booktabs}", *tables]) + "\n"


def _table(section: Section, width: int) -> str:
    kept, widths = fitting(section.columns, section.rows, width)
    room = dict(zip(kept, widths, strict=True))
    seeds = {row[i] for row in section.rows for i in kept if section.columns[i].heading == "n"}
    if len(seeds) == 1:  # the caption says it
        kept = [i for i in kept if section.columns[i].heading != "n"]
    columns = [section.columns[i] for i in kept]
    rows = [[row[i] for i in kept] for row in section.rows]
    broken = {
        k: room[i]
        for k, i in enumerate(kept)
        if columns[k].words and max((len(row[k]) for row in rows), default=0) > room[i]
    }
    lines = [
        r"\begin{table}",
        r"\centering\small",
        rf"\caption{{{_tex(_caption(section, columns, rows, seeds))}}}",
        rf"\begin{{tabular}}{{{_alignment(columns, broken)}}}",
        r"\toprule",
        _line(_heading(column) for column in columns if column.heading != _SPREAD),
        r"\midrule",
        *(_line(_merged(columns, row, broken)) for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
        *(rf"\par\footnotesize {_jointed(_tex(note))}" for note in section.notes),
        r"\end{table}",
    ]
    return "\n".join(lines)


def _caption(
    section: Section,
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    seeds: set[str],
) -> str:
    """What is shown, of how many, and by which test."""
    has = {
        _BEST: any(cell.startswith(_BEST) for row in rows for cell in row),
        _SPREAD: any(column.heading == _SPREAD for column in columns),
    }
    number = [f"n = {min(seeds)}."] if len(seeds) == 1 else []
    return " ".join([f"{section.title}.", *number, *(_TESTS[sign] for sign in has if has[sign])])


def _alignment(columns: Sequence[Column], broken: Mapping[int, int]) -> str:
    """Of each column: left, right, or of words that are broken the width, two characters an em."""
    return "".join(
        f"p{{{broken[k] / 2:g}em}}" if k in broken else "l" if column.left else "r"
        for k, column in enumerate(columns)
        if column.heading != _SPREAD
    )


def _heading(column: Column) -> str:
    """As many lines as it has."""
    lines, side = r"\\".join(map(_tex, column.heading.split("\n"))), "l" if column.left else "r"
    return rf"\shortstack[{side}]{{{lines}}}" if "\n" in column.heading else lines


def _merged(columns: Sequence[Column], row: Sequence[str], broken: Mapping[int, int]) -> list[str]:
    """The cells of a row in LaTeX, each with its interval behind it."""
    cells: list[str] = []
    for k, (column, text) in enumerate(zip(columns, row, strict=True)):
        if column.heading != _SPREAD:
            best = text.startswith(_BEST) and not column.left
            figure = _tex(text.removeprefix(_BEST) if best else text)
            figure = rf"\raggedright {_jointed(figure)}" if k in broken else figure
            cells.append(rf"\textbf{{{figure}}}" if best else figure)
        elif text:
            cells[-1] += rf" {_tex(text.replace(_SPREAD, f'{_SPREAD} '))}"
    return cells


def _jointed(text: str) -> str:
    """LaTeX's text that may be broken at the joints of names."""
    return _JOINTS.sub(r"\\allowbreak{}", text)


def _line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \tabularnewline"


def _tex(text: str) -> str:
    """`text` on one line, showing its own characters; those that need a package are a ?."""
    return "".join(map(_character, one_line(text)))


def _character(c: str) -> str:
    if c in _SYMBOLS:
        return _SYMBOLS[c]
    return c if c.isascii() or (c.isalpha() and ord(c) < _LETTERS) else "?"
