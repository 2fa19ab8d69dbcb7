"""Boards -> terminal, Markdown, CSV, JSON. None of it computes a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.board.leaderboard import Board
from bench.cells.result import CellResult
from bench.core.files import atomic_write_text
from bench.render import markdown, tidy


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
