"""What a board and a page of many cells take, and that nothing heavy is loaded for them."""

from __future__ import annotations

import argparse
import copy
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.cells.archive import opened
from bench.cells.result import CellResult, Predictions
from bench.cells.store import Store
from bench.core.errors import BenchError
from bench.core.hashing import digest
from bench.speed.options import positive

_METHODS, _SEEDS = 10, 5
_HEAVY = ("torch", "transformers", "datasets", "pandas")
_COMMANDS = ("table", "report")
_ONE = (
    "import sys; from bench.cli.main import main; code = main(sys.argv[1:]); "
    f"loaded = [name for name in {_HEAVY!r} if name in sys.modules]; "
    "sys.exit(code or ', '.join(loaded) or 0)"
)
_NOTE = """
{cells} cells like one of {like}: {methods} methods, {seeds} seeds, scores of their own, each with
its answers. {rounds} rounds, a new process for each; medians. Nothing of {heavy} was
loaded. The page has {size:.2f} MB. Goals for 1,000 cells: table 2 s, report 6 s; for 500 a page
below 2 MB."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The arguments of `measure`."""
    about = "how many (%(default)s)"
    parser.add_argument("--cells", type=positive, default=1000, metavar="N", help=about)
    about = "a run's folder or archive, whose first finished cell they are like"
    parser.add_argument("--like", type=Path, required=True, metavar="DIR", help=about)


def measure(given: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Write the cells, call each command in every round, print the table and return seconds.

    Raises:
        BenchError: there is no cell to be like, a command fails, or it loads what is heavy.
    """
    from tabulate import tabulate

    found: dict[str, list[tuple[float, float]]] = {name: [] for name in _COMMANDS}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        store = Store(folder)
        for cell, answers in _cells(given.like, given.cells):
            store.write(cell, answers)
        for number in range(given.rounds):
            for name, times in found.items():
                times.append(_seconds(name, folder))
            print(f"round {number + 1} of {given.rounds}", file=sys.stderr)
        size = (folder / "report.html").stat().st_size / 1e6
    medians = {
        name: [statistics.median(each) for each in zip(*times, strict=True)]
        for name, times in found.items()
    }
    rows = [[name, *seconds] for name, seconds in medians.items()]
    print(tabulate(rows, ["command", "s", "CPU s"], floatfmt=("", ".2f", ".2f")))
    counts = {"methods": _METHODS, "seeds": _SEEDS, "heavy": ", ".join(_HEAVY), "size": size}
    print(_NOTE.format(**vars(given), **counts))
    return {f"boards: {name}": {"s": wall, "CPU s": cpu} for name, (wall, cpu) in medians.items()}


def _cells(like: Path, count: int) -> Iterator[tuple[CellResult, Predictions | None]]:
    """So many cells: methods, then seeds, then tasks."""
    store = Store(opened(like))
    first = next((one for one in store.all() if one["status"] == "done"), None)
    if first is None:
        raise BenchError(f"{like} holds no finished cell.")
    answers = store.predictions(first)
    for number in range(count):
        rest, method = divmod(number, _METHODS)
        task, seed = divmod(rest, _SEEDS)
        cell: Any = copy.deepcopy(first)
        cell["cell"] |= {"method": f"method{method}" if method else "finetune"}
        cell["cell"] |= {"task": f"task{task}", "seed": seed}
        cell["labels"] |= {"method": cell["cell"]["method"], "task": f"task{task}"}
        cell["hash"] = digest(cell["cell"])
        scores = cell["scores"]
        for name in scores["after"]:
            scores["after"][name] += (method * 31 + seed * 17 + task * 7) % 100 / 1000
        yield cell, answers and {**answers, "hash": cell["hash"]}


def _seconds(command: str, folder: Path) -> tuple[float, float]:
    """Seconds of a command in a process of its own, by the clock and of the processor."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", _ONE, command, str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    took, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise BenchError(f"{command} fails or loads what is heavy: {done.stderr.strip()[-200:]}")
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return took, used
