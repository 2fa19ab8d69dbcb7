"""Boards -> terminal, Markdown, CSV, JSON, LaTeX, HTML. None of it computes a figure."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.board.leaderboard import Board
from bench.cells.result import CellResult
from bench.core.files import atomic_write_text
from bench.render import latex, markdown, terminal, tidy
from bench.render.layout import window

_ANY_WIDTH = 10**6

FORMATS: dict[str, Callable[[Sequence[Board], bool], str]] = {
    "terminal": lambda boards, wide: terminal.render(
        boards, sys.stdout.encoding or "ascii", _ANY_WIDTH if wide else window()
    ),
    "markdown": lambda boards, wide: markdown.render(boards),
    "latex": latex.render,
    "csv": lambda boards, wide: tidy.to_csv(tidy.records(boards)),
    "json": lambda boards, wide: tidy.to_json(boards),
}
"""What `table --format` may be -> boards in it; `True` asks for every column, however wide."""


def write_all(boards: Sequence[Board], results: Sequence[CellResult], folder: Path) -> list[Path]:
    """Write leaderboard.md, .csv and .json into `folder`, and cells.csv, a line for each result;
    the paths, in this order.

    Raises:
        BenchError: a file cannot be written.
    """
    texts = {
        "leaderboard.md": markdown.render(boards),
        "leaderboard.csv": tidy.to_csv(tidy.records(boards)),
        "leaderboard.json": tidy.to_json(boards),
        "cells.csv": tidy.to_csv(tidy.cell_records(results)),
    }
    for name, text in texts.items():
        atomic_write_text(folder / name, text)
    return [folder / name for name in texts]
