"""Arguments that several commands share."""

from __future__ import annotations

import argparse


def positive(word: str) -> int:
    """A number of at least 1."""
    if (number := int(word)) < 1:
        raise argparse.ArgumentTypeError(f"{word} is less than 1")
    return number


def add_cell_options(parser: argparse.ArgumentParser) -> None:
    """What `bench.speed.cells.one_cell` is told: a model, and a task and its rows."""
    parser.add_argument("--model", default="micro", metavar="M", help="as for run_bench.py")
    parser.add_argument("--data", default="micro", metavar="D", help="as for run_bench.py")
    parser.add_argument("--task", default="cola", metavar="T", help="whose rows (cola)")


def add_clock_option(parser: argparse.ArgumentParser) -> None:
    """Which clock a call is timed with."""
    about = "cpu: processor time, steadier where others use the machine, for 1 thread (wall)"
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help=about)
