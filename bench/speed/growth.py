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

_NOTE = """
Median seconds; the power p in seconds ~ size^p is that between a size and the one before it, so
that it bends where p changes. The parameters grow with the hidden size: embeddings in proportion,
blocks with its square."""


def measure_growth(given: argparse.Namespace) -> dict[str, Any]:
    """Time each kernel at three sizes of each kind, print the table, and return
    {kernel: {kind: {size: seconds}}}."""
    found: dict[str, dict[str, dict[int, float]]] = {}
    rows = []
    for name, kernel in KERNELS.items():
        for axis in kernel.axes:
            seconds = _seconds(name, axis, given)
            found.setdefault(name, {})[axis] = seconds
            sizes = list(seconds)
            for size, smaller in zip(sizes, [None, *sizes], strict=False):
                power = smaller and _power(seconds[size] / seconds[smaller], size / smaller)
                rows.append([name, axis, size, seconds[size], power])
    heads = ["kernel", "grows", "to", "seconds", "power"]
    print(tabulate(rows, heads, floatfmt=("", "", "", ".3f", ".2f"), missingval=""))
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


def _power(slower: float, larger: float) -> float:
    return math.log(slower) / math.log(larger)
