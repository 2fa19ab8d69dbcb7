"""Scores on the way from the base model's weights to the tuned ones, θ0 + α(θ − θ0)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.board import statistics
from bench.board.grouping import MethodKey, method_of
from bench.board.rows import reference_of
from bench.board.statistics import Estimate
from bench.cells.result import CellResult, PathPoint
from bench.scoring.metrics import is_lower


@dataclass(frozen=True)
class Point:
    """What a method's models score at one α."""

    alpha: float
    scores: Mapping[int, float]  # seed -> the task's primary metric
    score: Estimate  # over seeds
    retention: Estimate | None  # rise of the loss over the base model's, nats per token


@dataclass(frozen=True)
class WeightPath:
    """The path of one method on one task."""

    task: str
    title: str  # of the task
    metric: str
    method: str
    points: tuple[Point, ...]  # by α, from 0 to 1
    best: Point
    """That of the best mean score, of equals the one nearest to θ0. It is chosen on the rows that
    it is scored on, so it says what would have been possible, not what a person would get."""
    versus: Estimate | None
    """Score of `best` less that of finetune's best, on the seeds of both. finetune's path is
    WiSE-FT (Wortsman et al. 2022, arXiv 2109.01903). None of finetune's own, or without it."""


def weight_paths(
    results: Sequence[CellResult], names: Mapping[MethodKey, str]
) -> tuple[WeightPath, ...]:
    """A path per task and method, finetune's first, then by name."""
    groups: dict[str, dict[MethodKey, list[CellResult]]] = {}
    for result in results:
        if result["path"]:
            methods = groups.setdefault(result["cell"]["task"], {})
            methods.setdefault(method_of(result), []).append(result)
    found = []
    for _, methods in sorted(groups.items()):
        reference = reference_of(methods)
        wise = None if reference is None else _path(names[reference], methods[reference], None)
        found += [wise] if wise else []
        others = {names[key]: cells for key, cells in methods.items() if key != reference}
        found += [_path(name, cells, wise) for name, cells in sorted(others.items())]
    return tuple(found)


def _path(method: str, cells: Sequence[CellResult], wise: WeightPath | None) -> WeightPath:
    task, scores = cells[0]["cell"]["task"], cells[0]["scores"]
    assert scores is not None, "a cell with a path is scored"
    paths = {cell["cell"]["seed"]: cell["path"] or [] for cell in cells}
    points = tuple(_point(paths, number) for number in range(len(cells[0]["path"] or [])))
    sign = -1 if is_lower(scores["primary"]) else 1
    best = max(points, key=lambda point: (sign * point.score.mean, -point.alpha))
    return WeightPath(
        task=task,
        title=cells[0]["labels"].get("task", task),
        metric=scores["primary"],
        method=method,
        points=points,
        best=best,
        versus=statistics.paired(best.scores, wise.best.scores) if wise else None,
    )


def _point(paths: Mapping[int, Sequence[PathPoint]], number: int) -> Point:
    scores = {seed: path[number]["score"] for seed, path in paths.items()}
    rises = [
        now - base
        for path in paths.values()
        if (now := path[number]["retention"]) is not None
        and (base := path[0]["retention"]) is not None
    ]
    score = statistics.estimate(list(scores.values()))
    assert score is not None, "a path has a seed"
    retention = statistics.estimate(rises) if len(rises) == len(paths) else None
    return Point(next(iter(paths.values()))[number]["alpha"], scores, score, retention)
