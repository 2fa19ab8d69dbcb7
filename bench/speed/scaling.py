"""How seconds and memory grow: with parameters, length, rows, cells in the folder and jobs."""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.cells.cell import REFERENCE
from bench.core.errors import BenchError
from bench.speed.sizes import MODELS

AXES = {
    "parameters": tuple(MODELS),  # millions
    "length": (32, 64, 128, 256, 512),
    "rows": (250, 500, 1000, 2000),
    "cells": (10, 100, 1000, 5000),
    "jobs": (1, 2),
}
_ALONE = ("cells", "jobs")  # no matter of methods
_WORDS = {
    "parameters": "millions of parameters",
    "length": "tokens of a row",
    "rows": "training rows",
    "cells": "cells in the folder",
    "jobs": "workers",
}
_UNITS = {"seconds": "seconds", "mib": "peak MiB"}
_NOTE = """
Each measurement has a process of its own with {threads} thread(s); medians of {rounds} round(s).
The power p of size^p is that of a line through the logarithms of all rounds, ± its 95 % interval.
Six steps of 8 examples by parameters (millions) and length (tokens); a whole cell by rows; boards
of a folder by its cells; eight cells by jobs. "worse" stands where a method's power lies above
finetune's, both intervals aside."""


@dataclass(frozen=True)
class Power:
    """The p of size^p, and the half-width of its interval; None with fewer than three points."""

    p: float
    half: float | None

    def __str__(self) -> str:
        return f"{self.p:.2f}" + ("" if self.half is None else f" ±{self.half:.2f}")

    def above(self, other: Power) -> bool:
        """Whether it is larger, both intervals aside."""
        return self.p - (self.half or 0.0) > other.p + (other.half or 0.0)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The arguments of `measure`."""
    about = f"comma-separated ({','.join(AXES)})"
    parser.add_argument("--axes", default=",".join(AXES), metavar="A,B", help=about)
    methods = "finetune,recadam,ewc,lwf"
    parser.add_argument("--methods", default=methods, metavar="A,B", help=f"({methods})")
    about = "leave larger sizes out, as in parameters=30,cells=1000"
    parser.add_argument("--most", default="", metavar="A=N,B=N", help=about)
    about = "write a picture of each axis there"
    parser.add_argument("--pictures", type=Path, metavar="DIR", help=about)
    parser.set_defaults(rounds=3)


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Measure every axis, print its table, and return {axis: {method: {size: rounds}}}.

    Raises:
        BenchError: there is no such axis; a measurement fails.
    """
    most = dict(pair.split("=") for pair in filter(None, given.most.split(",")))
    found: dict[str, Any] = {}
    for axis in given.axes.split(","):
        if axis not in AXES:
            raise BenchError(f"--axes: {axis!r} is none of {', '.join(AXES)}.")
        sizes = [size for size in AXES[axis] if size <= int(most.get(axis, size))]
        methods = [REFERENCE] if axis in _ALONE else given.methods.split(",")
        found[axis] = {
            method: {size: _rounds(axis, size, method, given) for size in sizes}
            for method in methods
        }
        _print(axis, found[axis])
        if given.pictures:
            given.pictures.mkdir(parents=True, exist_ok=True)
            drawn = picture(axis, found[axis])
            (given.pictures / f"growth-{axis}.svg").write_text(drawn, encoding="utf-8")
    print(_NOTE.format(**vars(given)))
    return found


def power(sizes: Sequence[float], values: Sequence[float]) -> Power:
    """The slope of log value over log size, by least squares; its 95 % t-interval."""
    from scipy.stats import linregress, t

    fit = linregress([math.log(x) for x in sizes], [math.log(y) for y in values])
    left = len(sizes) - 2
    half = float(t.ppf(0.975, left) * fit.stderr) if left > 0 else None
    return Power(float(fit.slope), half)


def _rounds(axis: str, size: int, method: str, given: argparse.Namespace) -> list[dict[str, float]]:
    words = [sys.executable, "-m", "bench.speed.sizes", axis, str(size), method]
    found = []
    for _ in range(given.rounds):
        done = subprocess.run(
            ["env", f"OMP_NUM_THREADS={given.threads}", *words],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:]
            raise BenchError(f"{axis} {size} with {method} fails: {''.join(last)}")
        found.append(json.loads(done.stdout.strip().splitlines()[-1]))
        print(f"{axis} {size} {method}: {found[-1]}", file=sys.stderr)
    return found


def powers(measured: dict[int, list[dict[str, float]]], what: str) -> Power:
    """That of one method along an axis."""
    pairs = [(size, one[what]) for size, rounds in measured.items() for one in rounds]
    return power([size for size, _ in pairs], [value for _, value in pairs])


def _print(axis: str, found: dict[str, dict[int, list[dict[str, float]]]]) -> None:
    from tabulate import tabulate

    rows = []
    plain = next(iter(found))
    for method, measured in found.items():
        known = next(iter(measured.values()))[0]
        for what, unit in ((what, unit) for what, unit in _UNITS.items() if what in known):
            medians = [statistics.median(x[what] for x in rounds) for rounds in measured.values()]
            mine = powers(measured, what)
            worse = method != plain and mine.above(powers(found[plain], what))
            rows.append([method, unit, *medians, str(mine), "worse" if worse else ""])
    sizes = [str(size) for size in found[plain]]
    print(tabulate(rows, [axis, "", *sizes, "power", ""], floatfmt=".3g"))
    print()


def picture(axis: str, found: dict[str, dict[int, list[dict[str, float]]]]) -> str:
    """Seconds over sizes, both by their logarithms, as an SVG file."""
    from bench.render.page.svg import Look, Plot

    lines = {
        Look(method, number): [
            (size, statistics.median(one["seconds"] for one in rounds))
            for size, rounds in measured.items()
        ]
        for number, (method, measured) in enumerate(found.items())
    }
    values = [y for points in lines.values() for _, y in points]
    sizes = [x for points in lines.values() for x, _ in points]
    plot = Plot(
        x=(min(sizes), max(sizes)),
        y=(min(values) / 1.2, max(values) * 1.2),
        x_name=_WORDS[axis],
        y_name="seconds",
        x_log=True,
        y_log=True,
    )
    for look, points in lines.items():
        plot.line(look, points)
        for point in points:
            plot.mark(look, point, f"{look.name}: {point[1]:.3g} s at {point[0]:,}")
    plot.names_at_the_right([(look, points[-1][1]) for look, points in lines.items()])
    said = "; ".join(f"{look.name} ends at {points[-1][1]:.3g} s" for look, points in lines.items())
    return plot.file(f"Growth with {_WORDS[axis]}", said)
