"""What was measured of a cell, and on what: parts of its result that come later, or once more.

A result holds each part at its top, as it was measured last; `measured` says on what. What was
measured on something else before (another retention text, fewer dev rows) is in `earlier`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from bench.cells.cell import AnyCell, TaskSequence
from bench.cells.result import CellResult
from bench.core.errors import BenchError

On = Mapping[str, Any]
"""What a part was measured on, as JSON."""

PARTS: dict[str, tuple[str, ...]] = {
    "scores": ("scores", "chance", "ceiling", "flips", "sequence", "data"),
    "retention": ("retention",),
    "forgotten": ("forgotten",),
    "facts": ("facts",),
    "lm_eval": ("lm_eval",),
    "retain_tasks": ("retain_tasks",),
    "path": ("path",),
    "probe": ("probe",),
}
"""What is measured -> the keys of the result that hold it."""


def asked(cell: AnyCell) -> dict[str, On]:
    """What is to be measured of a cell -> on what."""
    sequence = isinstance(cell, TaskSequence)
    first = cell.stages[0] if isinstance(cell, TaskSequence) else cell
    recipe, besides, generates = first.training, first.besides, first.model.generates
    if recipe.score != "dev":
        return {"scores": {"rows": recipe.max_eval, "score": recipe.score}}
    found: dict[str, On] = {
        "scores": {"rows": recipe.max_eval},
        "retention": {"text": first.retention.hash, "tokens": recipe.retention_tokens},
    }
    if besides.lm_eval:
        found["lm_eval"] = {"tasks": list(besides.lm_eval), "rows": recipe.max_eval}
    if besides.retain_tasks and generates:
        tasks = {task.name: [task.hash, task.rows] for task in besides.retain_tasks}
        found["retain_tasks"] = {"tasks": tasks, "rows": recipe.max_eval}
    if sequence:
        return found
    if besides.path:
        read = {part: on for part, on in found.items() if part != "lm_eval"}
        found["path"] = {"points": besides.path, **read}
    found["facts"] = {}
    if generates:
        forget = first.forget
        on = {"tasks": list(forget.tasks), "hash": forget.rows, "rows": recipe.forget_rows}
        found["forgotten"] = on
    if recipe.eval_every:
        found["probe"] = {"every": recipe.eval_every, "text": first.retention.hash}
    return found


def missing(result: CellResult, asked: Mapping[str, On]) -> list[str]:
    """The parts that were not measured on what is asked for."""
    return [part for part, on in asked.items() if on not in held(result, part)]


def held(result: CellResult, part: str) -> list[On]:
    """All that a part was measured on, the last first."""
    last = _last(result)
    earlier: list[On] = [each["on"] for each in result["earlier"] if each["part"] == part]
    return [last[part], *earlier] if part in last else earlier


def at(result: CellResult, part: str, on: On) -> CellResult | None:
    """The result with what was measured on `on` at its top; None where nothing was."""
    if _last(result).get(part) == on:
        return result
    for each in result["earlier"]:
        if (each["part"], each["on"]) == (part, on):
            rest = [other for other in result["earlier"] if other is not each]
            return with_part({**result, "earlier": rest}, part, on, each["fields"])
    return None


def by_dev_rows(result: CellResult) -> list[CellResult]:
    """The result as it was scored on each number of dev rows, the last first; as it is where it was
    not scored."""
    found = (at(result, "scores", on) for on in held(result, "scores"))
    return [each for each in found if each is not None] or [result]


def with_part(result: CellResult, part: str, on: On, fields: Mapping[str, Any]) -> CellResult:
    """The result with a newer measurement of a part at its top."""
    last, earlier = _last(result), list(result["earlier"])
    if part in last:
        earlier.append({"part": part, "on": last[part], "fields": fields_of(result, part)})
    measured = {**last, part: dict(on)}
    return cast(CellResult, {**result, **fields, "measured": measured, "earlier": earlier})


def fields_of(result: CellResult, part: str) -> dict[str, Any]:
    """The keys of a result that hold a part."""
    whole: Mapping[str, Any] = result
    return {name: whole[name] for name in PARTS[part]}


def without(result: CellResult, part: str) -> CellResult:
    """The result as if a part had not been measured."""
    return cast(CellResult, {**result, **dict.fromkeys(PARTS[part])})


def merged(old: CellResult, new: CellResult) -> CellResult:
    """The finished cell `old` with what was measured of it since, by which its training and what
    was measured on the same stay as they are.

    Raises:
        BenchError: both were scored on the same rows, with other scores.
    """
    found = old
    for part, on in _last(new).items():
        mine = at(found, part, on)
        if mine is None:
            mine = with_part(found, part, on, fields_of(new, part))
        elif part == "scores" and mine["scores"] != new["scores"]:
            raise BenchError(f"other scores: {mine['scores']}, now {new['scores']}")
        found = mine
    return found


def _last(result: CellResult) -> dict[str, dict[str, Any]]:
    return cast(dict[str, dict[str, Any]], result["measured"])
