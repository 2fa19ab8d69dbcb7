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
from bench.speed.workloads import Size

SIZES = {"samples": (32, 64, 128), "hidden": (128, 256, 512), "length": (32, 64, 128)}
_NOTE = """
Seconds of our side alone (RecAdam: ten steps), medians over the rounds; the power p in seconds ~
size^p is that between a size and the one before it, with its extremes over the rounds. It bends
where two powers have no value in common. The parameters grow with the hidden size: embeddings in
proportion, blocks with its square."""


def measure_growth(given: argparse.Namespace) -> dict[str, Any]:
    """Time each kernel at three sizes of each kind, print the table, and return
    {kernel: {kind: {size: seconds}}}."""
    found: dict[str, dict[str, dict[int, float]]] = {}
    rows = []
    for name, kernel in KERNELS.items():
        for axis in kernel.axes:
            times = _times(name, axis, given)
            medians = {size: statistics.median(seconds) for size, seconds in times.items()}
            found.setdefault(name, {})[axis] = medians
            rows += [[name, axis, *row] for row in _powers(times)]
    heads = ["kernel", "grows", "to", "seconds", "power", "low", "high", ""]
    formats = ("", "", "", ".3f", ".2f", ".2f", ".2f", "")
    print(tabulate(rows, heads, floatfmt=formats, missingval=""))
    print(_NOTE)
    return found


def _times(name: str, axis: str, given: argparse.Namespace) -> dict[int, list[float]]:
    """Seconds of each round by size, the sizes taking turns."""
    contenders = {}
    for value in SIZES[axis]:
        size = replace(Size(KERNELS[name].samples), **{axis: value})
        work = KERNELS[name].build(size).ours
        contenders[str(value)] = partial(timed, work, given.clock)
    times = alternate(contenders, given.rounds)
    return {int(value): times[value] for value in times}


def _powers(times: dict[int, list[float]]) -> list[list[Any]]:
    """Each size, its median seconds, the power that leads there (median and extremes over the
    rounds), and whether the line bends before it."""
    rows: list[list[Any]] = []
    before: tuple[int, list[float]] | None = None
    for size, seconds in times.items():
        row: list[Any] = [size, statistics.median(seconds), None, None, None, ""]
        if before is not None:
            larger, pairs = math.log(size / before[0]), zip(seconds, before[1], strict=True)
            powers = [math.log(took / less) / larger for took, less in pairs]
            row[2:5] = statistics.median(powers), min(powers), max(powers)
            low, high = rows[-1][3:5]
            row[5] = "bends" if low is not None and (row[3] > high or row[4] < low) else ""
        rows.append(row)
        before = size, seconds
    return rows
