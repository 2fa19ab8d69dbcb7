"""How the kernels' time grows with the work."""

from __future__ import annotations

import argparse
import math
import statistics
from dataclasses import replace
from functools import partial
from typing import Any

from tabulate import tabulate

from bench.speed.contests import KERNELS
from bench.speed.timing import alternate, timed
from bench.speed.worlds import Size

SIZES = {"samples": (32, 64, 128), "hidden": (128, 256, 512), "length": (32, 64, 128)}
BEND = 0.25  # of the power

_NOTE = """
Median seconds; the power p in seconds ~ size^p is that between a size and the one before it. It
bends where p is more than a quarter off the one before. The parameters grow with the hidden size:
embeddings in proportion, blocks with its square."""


def measure_growth(given: argparse.Namespace) -> dict[str, Any]:
    """Time each kernel at three sizes of each kind, print the table, and return
    {kernel: {kind: {size: seconds}}}."""
    found: dict[str, dict[str, dict[int, float]]] = {}
    rows = []
    for name, kernel in KERNELS.items():
        for axis in kernel.axes:
            seconds = _seconds(name, axis, given)
            found.setdefault(name, {})[axis] = seconds
            rows += [[name, axis, *row] for row in _powers(seconds)]
    heads = ["kernel", "grows", "to", "seconds", "power", ""]
    print(tabulate(rows, heads, floatfmt=("", "", "", ".3f", ".2f", ""), missingval=""))
    print(_NOTE)
    return found


def _seconds(name: str, axis: str, given: argparse.Namespace) -> dict[int, float]:
    """Median seconds by size, the sizes taking turns."""
    contenders = {}
    for value in SIZES[axis]:
        size = replace(Size(KERNELS[name].samples), **{axis: value})
        work = KERNELS[name].build(size).ours
        contenders[str(value)] = partial(timed, work, given.clock)
    times = alternate(contenders, given.rounds)
    return {int(value): statistics.median(times[value]) for value in times}


def _powers(seconds: dict[int, float]) -> list[tuple[int, float, float | None, str]]:
    """Each size, its seconds, the power that leads there, and whether the line bends before it."""
    rows: list[tuple[int, float, float | None, str]] = []
    for size, took in seconds.items():
        power, bends = None, ""
        if rows:
            smaller, less, before, _ = rows[-1]
            power = math.log(took / less) / math.log(size / smaller)
            bends = "bends" if before is not None and abs(power - before) > BEND else ""
        rows.append((size, took, power, bends))
    return rows
