"""What cells logged on their way, as means over seeds: a line per method, a panel per task."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.board import statistics
from bench.board.grouping import MethodKey, method_of
from bench.board.statistics import Estimate
from bench.cells.cell import REFERENCE
from bench.cells.result import CellResult

Series = Mapping[float, float]
"""x -> y, of one cell."""
_OF_ALL = frozenset({"step", "loss", "lr"})
"""What every cell logs."""
_STRETCHES = 24  # of a run, that its loss is averaged over


@dataclass(frozen=True)
class Point:
    """What the seeds of a method say at one place."""

    at: float  # the step, or α
    y: Estimate
    x: Estimate | None = None  # of a path, whose place on the plot is measured too


@dataclass(frozen=True)
class Line:
    """One method on one task."""

    method: str
    reference: bool
    seeds: int
    points: tuple[Point, ...]  # where all its seeds have a value, in order


@dataclass(frozen=True)
class Panel:
    """One task."""

    task: str
    title: str
    lines: tuple[Line, ...]  # the reference first, then by name


def panels(
    cells: Iterable[CellResult],
    names: Mapping[MethodKey, str],
    read: Callable[[CellResult], Series],
) -> tuple[Panel, ...]:
    """A panel per task, and in it a line per method whose finished cells have something to `read`.
    A place that one of its seeds lacks is left out."""
    found = [cell for cell in cells if cell["status"] == "done" and read(cell)]

    def averaged(cells: Sequence[CellResult]) -> list[Point]:
        return [Point(at, y) for at, y in _means([read(cell) for cell in cells])]

    return _grouped(found, names, averaged)


def paths(cells: Iterable[CellResult], names: Mapping[MethodKey, str]) -> tuple[Panel, ...]:
    """From θ0 to θ, by α: the score, and as x the rise of the loss on the retention text."""

    def joined(cells: Sequence[CellResult]) -> list[Point]:
        scores = dict(_means([{p["alpha"]: p["score"] for p in c["path"] or ()} for c in cells]))
        rises = dict(_means([_rises(cell) for cell in cells]))
        return [Point(at, y, rises[at]) for at, y in scores.items() if at in rises]

    return _grouped([cell for cell in cells if cell["path"]], names, joined)


def _rises(cell: CellResult) -> Series:
    known = {p["alpha"]: p["retention"] for p in cell["path"] or () if p["retention"] is not None}
    return {alpha: loss - known[0.0] for alpha, loss in known.items()} if 0.0 in known else {}


def _grouped(
    cells: Iterable[CellResult],
    names: Mapping[MethodKey, str],
    build: Callable[[Sequence[CellResult]], list[Point]],
) -> tuple[Panel, ...]:
    groups: dict[str, dict[MethodKey, list[CellResult]]] = {}
    titles = {}
    for cell in cells:
        task = cell["cell"]["task"]
        groups.setdefault(task, {}).setdefault(method_of(cell), []).append(cell)
        titles[task] = cell["labels"].get("task", task)
    found = []
    for task, methods in sorted(groups.items()):
        lines = [
            Line(names[key], key.method == REFERENCE, len(mine), tuple(build(mine)))
            for key, mine in methods.items()
        ]
        kept = [line for line in lines if line.points]
        kept.sort(key=lambda line: (not line.reference, line.method))
        found += [Panel(task, titles[task], tuple(kept))] if kept else []
    return tuple(found)


def _means(series: Sequence[Series]) -> list[tuple[float, Estimate]]:
    """At each place that all have, in order, the mean over them."""
    places = set(series[0]).intersection(*series[1:]) if series else set()
    found = [(at, statistics.estimate([one[at] for one in series])) for at in sorted(places)]
    return [(at, value) for at, value in found if value is not None]


def logged(cells: Iterable[CellResult]) -> list[str]:
    """What any method logged beside loss and learning rate, by name."""
    return sorted({name for cell in cells for point in cell["curve"] for name in point} - _OF_ALL)


def loss(cell: CellResult) -> Series:
    """The training loss by step, over stretches of the run: a batch's says more of the batch."""
    points = [(point["step"], point["loss"]) for point in cell["curve"] if "loss" in point]
    size = math.ceil(len(points) / _STRETCHES) or 1
    parts = [points[i : i + size] for i in range(0, len(points), size)]
    return {part[-1][0]: sum(value for _, value in part) / len(part) for part in parts}


def log_of(name: str) -> Callable[[CellResult], Series]:
    """What reads an entry of a cell's training log, by step."""
    return lambda cell: {point["step"]: point[name] for point in cell["curve"] if name in point}


def probe_score(cell: CellResult) -> Series:
    """The probe's score by step."""
    points = cell["probe"]["points"] if cell["probe"] else ()
    return {p["step"]: p["score"] for p in points if p["score"] is not None}


def probe_rise(cell: CellResult) -> Series:
    """By step, the rise of the probe's loss on the retention text since step 0."""
    points = cell["probe"]["points"] if cell["probe"] else ()
    known = {float(p["step"]): p["retention"] for p in points if p["retention"] is not None}
    return {at: loss - known[0.0] for at, loss in known.items()} if 0.0 in known else {}
