"""Lines that fit a window."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Iterable, Sequence
from itertools import zip_longest

from bench.render.section import MOST, Column
from bench.render.wording import one_line

WIDTH = 100
"""Where nobody looks: in a file or a pipe. Prose is never wider."""
_NARROWEST = 80
_SHORTEST = 10  # characters to which words may be squeezed before a column has to go
_LONGEST = 24  # characters up to which a word is never broken
_GAP = "  "


def window() -> int:
    """The characters in a line of the terminal, 80 at least; COLUMNS in the environment wins."""
    return max(_NARROWEST, shutil.get_terminal_size((WIDTH, 24)).columns)


def wrap(line: str, width: int, indent: str = "") -> str:
    """`line` over lines of at most `width` and 100, all but the first of them indented. Names with
    hyphens stay whole."""
    most = min(width, WIDTH)
    return textwrap.fill(line, most, subsequent_indent=indent, break_on_hyphens=False)


def table(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int
) -> tuple[list[str], list[str]]:
    """The lines of a table, and the headings of the columns for which they have no room.

    Headings are never broken. Where no column has one, there is no rule either. `rows` have shape
    (rows, columns); "\\n" in a cell starts a line.
    """
    kept, widths = fitting(columns, rows, width)
    lefts = [columns[i].left for i in kept]
    lines = []
    if any(columns[i].heading for i in kept):
        heads = [columns[i].heading.split("\n") for i in kept]
        lines = [*_lines(heads, widths, lefts), _GAP.join("-" * each for each in widths)]
    for row in rows:
        cells = [_broken(row[i], each) for i, each in zip(kept, widths, strict=True)]
        lines += _lines(cells, widths, lefts)
    gone = [one_line(column.heading) for i, column in enumerate(columns) if i not in kept]
    return lines, gone


def fitting(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int
) -> tuple[list[int], list[int]]:
    """Which columns have room in `width`, and how wide each of these is.

    Labels are broken at their joints before a column goes, and in a word before one of the most
    important goes.
    """
    kept, whole = list(range(len(columns))), True
    while len(kept) > 1 and sum(_widths(columns, rows, kept, width, whole)) > _room(kept, width):
        least = min(kept, key=lambda i: (columns[i].importance, -i))
        if whole and columns[least].importance >= MOST:
            whole = False
        else:
            kept.remove(least)
    return kept, _widths(columns, rows, kept, width, whole)


def _room(kept: Sequence[int], width: int) -> int:
    return width - len(_GAP) * (len(kept) - 1)


def _natural(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], kept: Sequence[int]
) -> list[int]:
    """The widths of columns as wide as they need to be."""
    widths = []
    for i in kept:
        head, most = _longest(columns[i].heading), columns[i].words
        cells = max((_longest(row[i]) for row in rows), default=0)
        widths.append(max(head, min(cells, most) if most else cells))
    return widths


def _widths(
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    kept: Sequence[int],
    width: int,
    whole: bool,
) -> list[int]:
    """The widths of columns, labels squeezed as far as that may help, the widest of them first, and
    with `whole` no further than their words are long."""
    widths = _natural(columns, rows, kept)
    least = []
    for i, each in zip(kept, widths, strict=True):
        word = min(_LONGEST, _longest_word(row[i] for row in rows)) if whole else 0
        shortest = max(_longest(columns[i].heading), _SHORTEST, word)
        least.append(shortest if columns[i].words else each)
    while sum(widths) > _room(kept, width):
        loose = [k for k, each in enumerate(widths) if each > least[k]]
        if not loose:
            break
        widths[max(loose, key=lambda k: widths[k])] -= 1
    return widths


def _longest(text: str) -> int:
    return max(map(len, text.split("\n")))


class _Labels(textwrap.TextWrapper):
    """Breaks `ewc+lwf[interval=4,keep=0.5]` at its joints where it has no blanks."""

    wordsep_re = re.compile(r"(\s+|(?=\[)|(?<=[-+,]))")


class _LongLabels(_Labels):
    """Breaks `a_very_long_name` too."""

    wordsep_re = re.compile(r"(\s+|(?=\[)|(?<=[-+,_]))")


def _longest_word(cells: Iterable[str]) -> int:
    """The characters of the longest part of `cells` without a joint, such as `keep=0.5,`."""
    parts = (part for cell in cells for part in _Labels.wordsep_re.split(cell))
    return max((len(part.strip()) for part in parts), default=0)


def _broken(cell: str, width: int) -> list[str]:
    labels = _Labels(width) if _longest_word([cell]) <= width else _LongLabels(width)
    return [line for part in cell.split("\n") for line in labels.wrap(part) or [""]]


def _lines(
    cells: Sequence[Sequence[str]], widths: Sequence[int], lefts: Sequence[bool]
) -> list[str]:
    """One row: its cells' lines side by side."""
    return [
        _GAP.join(
            text.ljust(width) if left else text.rjust(width)
            for text, width, left in zip(texts, widths, lefts, strict=True)
        ).rstrip()
        for texts in zip_longest(*cells, fillvalue="")
    ]
