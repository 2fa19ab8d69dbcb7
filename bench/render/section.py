"""A titled table in words, and its columns: what boards are put in and renderers lay out."""

from __future__ import annotations

from dataclasses import dataclass

MOST = 10
"""The importance of what a table is hardly ever without."""
LABEL = 24
"""The characters of a label on one line."""


@dataclass(frozen=True)
class Column:
    """What stands above a column, and how much it matters."""

    heading: str  # one to four lines
    importance: int = MOST  # in a window that is too narrow, the least important goes first
    words: int = 0  # characters from which on its cells are broken over lines; 0: they never are
    left: bool = False  # whether it is aligned to the left


@dataclass(frozen=True)
class Section:
    """A titled table; every text in it is one line, headings aside."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]  # shape (rows, columns)
    notes: tuple[str, ...] = ()
