"""One record per cell, for notebooks to calculate with: metric units, not times 100."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bench.board.grouping import canonical, distinct, shared_part, variant_of
from bench.board.measures import MEASURES, Measure
from bench.cells.cell import REFERENCE
from bench.cells.measured import at
from bench.cells.result import CellResult

NAMES = ("model", "data", "method", "variant", "task", "status", "metric")
"""The columns that hold names."""


def records(results: Iterable[CellResult]) -> list[dict[str, Any]]:
    """A flat dictionary per cell, by model, task, method and seed: names, every measure, every
    score (`before.METRIC`, `after.METRIC`, `retain_tasks.TASK.after`, `path.ALPHA.after`, ...), the
    method's settings (`settings.NAME`), the recipe
    (`train.NAME`), what it was measured on (`measured.PART.NAME`) and where it was run
    (`provenance.NAME`). None is missing. A measure set against
    the reference is so against the cell of the same model, data, recipe, task and seed.

    Raises:
        BenchError: two results of one cell have different scores.
    """
    cells = sorted(distinct(results), key=_order)
    references = {
        _place(result): result
        for result in reversed(cells)  # of several, such as tuned ones, the plain one
        if result["cell"]["method"] == REFERENCE and result["status"] == "done"
    }
    return [_record(result, _beside(result, references.get(_place(result)))) for result in cells]


def named(result: CellResult) -> dict[str, Any]:
    """What a cell is called: one row of any table of cells."""
    cell, labels = result["cell"], result["labels"]
    return {
        "method": cell["method"],
        "variant": labels["method"],
        "task": cell["task"],
        "seed": cell["seed"],
        "model": labels["model"],
        "data": labels["data"],
    }


def _order(result: CellResult) -> tuple[Any, ...]:
    names = named(result)
    return tuple(names[key] for key in ("model", "data", "task", "method", "variant", "seed"))


def _place(result: CellResult) -> tuple[Any, ...]:
    """What a method's cell and its reference's have in common."""
    return canonical(shared_part(result)), variant_of(result), result["cell"]["seed"]


def _beside(result: CellResult, reference: CellResult | None) -> CellResult | None:
    """The reference as it was scored on the same dev rows."""
    if reference is None or reference is result or result["status"] != "done":
        return reference
    return at(reference, "scores", result["measured"]["scores"])


def _record(result: CellResult, reference: CellResult | None) -> dict[str, Any]:
    scores = result["scores"]
    found = {**named(result), "status": result["status"]}
    found |= {"suite_version": result["cell"]["suite_version"], "hash": result["hash"]}
    found["trial"] = result["labels"].get("trial")
    found["metric"] = scores["primary"] if scores else None
    for measure in MEASURES:
        found[measure.name] = _value(measure, result, reference)
    return {
        **found,
        **flat("before", scores["before"] if scores else {}),
        **flat("after", scores["after"] if scores else {}),
        **flat("retain_tasks", _retained(result)),
        **flat("path", _path(result)),
        **flat("settings", result["cell"]["settings"]),
        **flat("tuned", result["cell"].get("tuned", {})),
        **flat("tuning", result.get("tuning", {})),
        **flat("train", result["cell"]["training"]),
        **flat("measured", result["measured"]),
        **flat("provenance", result["provenance"]),
    }


def _retained(result: CellResult) -> dict[str, Any]:
    """Retention tasks by name."""
    return {
        task: {"before": one["before"], "after": one["after"], **(one["flips"] or {})}
        for task, one in (result["retain_tasks"] or {}).items()
    }


def _path(result: CellResult) -> dict[str, Any]:
    """Points by α."""
    points = result["path"] or []
    base = points[0]["retention"] if points else None
    return {
        f"{point['alpha']:g}": {
            "after": point["score"],
            "retention": None if loss is None or base is None else loss - base,
            "retain_tasks": {task: {"after": s} for task, s in point["retain_tasks"].items()},
        }
        for point in points
        for loss in [point["retention"]]
    }


def _value(measure: Measure, result: CellResult, reference: CellResult | None) -> float | None:
    """The measure of one cell, None where it failed or what it is set against is missing."""
    if result["status"] != "done":
        return None
    mine = measure.from_result(result)
    if measure.versus is None:
        return mine
    its = measure.from_result(reference) if reference else None
    if mine is None or its is None or (measure.versus == "ratio" and not its):
        return None
    if measure.versus == "ratio":
        return mine / its
    return None if result is reference else mine - its


def flat(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """`{"settings.lam": 1.0}`; of a stack, whose settings are by part, `settings.ewc.lam`. A list
    is its items in words."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(f"{name}.{key}", value)
        else:
            words = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
            found[f"{name}.{key}"] = words
    return found
