"""The figures of a result's parts that its dev rows do not give, from the answers behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from bench.cells.result import Answered, CellResult, PartAnswers
from bench.scoring.metrics import METRICS, score
from bench.scoring.predictions import flips, guess_chance, right, rise_error

Figures = dict[str, Any]
"""By path in the result: `retention.after`; of a path by α and of a probe by step:
`path.0.5.score`."""


def figures(result: CellResult, parts: Iterable[PartAnswers]) -> Figures:
    """What `parts` give of the result.

    Raises:
        LookupError, ValueError, TypeError: they are not such answers.
    """
    found: Figures = {}
    for one in parts:
        if one["part"] in _OF:
            found |= _OF[one["part"]](result, one)
    return found


def _scores(_: CellResult, part: PartAnswers) -> Figures:
    """Accuracies of their own, and the ceiling of forgetting."""
    found: Figures = {}
    for name, rows in part["rows"].items():
        for when in _BOTH:
            place = f"ceiling.{when}" if name == "ceiling" else f"scores.{when}.{name}"
            found[place] = _mean(_right(rows, when))
        if name == "ceiling":
            found["ceiling.rows"] = len(rows["id"])
    return found


def _retention(result: CellResult, part: PartAnswers) -> Figures:
    means = {f"retention.{when}": _read(part, when) for when in _BOTH}
    found: Figures = {"retention.tokens": sum(_tokens(part)), **means}
    stated = result["retention"]
    if stated and "error" in stated and part["text"]:
        nats = part["text"]["nats"]
        found["retention.error"] = rise_error(nats["before"], nats["after"], _tokens(part))
    return found


def _forgotten(_: CellResult, part: PartAnswers) -> Figures:
    tasks = part["rows"].values()
    found: Figures = {"forgotten.rows": sum(len(one["id"]) for one in tasks)}
    for when in _BOTH:
        losses = [loss for one in tasks for loss in one["losses"][when]]
        found[f"forgotten.loss_{when}"] = _mean(losses)
        if marks := [mark for one in tasks if one["answers"] for mark in _right(one, when)]:
            found[f"forgotten.accuracy_{when}"] = _mean(marks)
    return found


def _facts(_: CellResult, part: PartAnswers) -> Figures:
    found: Figures = {}
    for name, rows in part["rows"].items():
        found[f"facts.{name}.questions"] = len(rows["id"])
        found |= {f"facts.{name}.{when}": _mean(_right(rows, when)) for when in _BOTH}
    return found


def _retain_tasks(result: CellResult, part: PartAnswers) -> Figures:
    found: Figures = {}
    for task, stated in (result["retain_tasks"] or {}).items():
        rows, front = part["rows"][task], f"retain_tasks.{task}"
        found[f"{front}.rows"] = len(rows["id"])
        for when in _BOTH:
            found |= _scored(f"{front}.{when}", stated["metric"], rows, when)
        if stated["flips"]:
            chance = guess_chance([[0.0] * choices for choices in rows["choices"]])
            each = flips(_right(rows, "before"), _right(rows, "after"), chance)
            found |= {f"{front}.flips.{name}": value for name, value in each.items()}
    return found


def _path(result: CellResult, part: PartAnswers) -> Figures:
    found: Figures = {}
    metrics = {task: one["metric"] for task, one in (result["retain_tasks"] or {}).items()}
    for point in result["path"] or []:
        alpha = f"{point['alpha']:g}"
        front, own = f"path.{alpha}", part["rows"][result["cell"]["task"]]
        found |= _scored(f"{front}.score", _primary(result), own, alpha)
        if point["retention"] is not None:
            found[f"{front}.retention"] = _read(part, alpha)
        for task in point["retain_tasks"].keys() & metrics.keys():
            place, rows = f"{front}.retain_tasks.{task}", part["rows"][task]
            found |= _scored(place, metrics[task], rows, alpha)
    return found


def _probe(result: CellResult, part: PartAnswers) -> Figures:
    (rows,) = part["rows"].values()
    tokens = sum(_tokens(part)) if part["text"] else 0
    found: Figures = {"probe.rows": len(rows["id"]), "probe.tokens": tokens}
    for point in result["probe"]["points"] if result["probe"] else ():
        step = str(point["step"])
        front = f"probe.{step}"
        if point["score"] is not None:
            found |= _scored(f"{front}.score", _primary(result), rows, step)
        if point["loss"] is not None:
            found[f"{front}.loss"] = _mean(rows["losses"][step])
        if point["retention"] is not None:
            found[f"{front}.retention"] = _read(part, step)
    return found


_BOTH = ("before", "after")
_OF: dict[str, Callable[[CellResult, PartAnswers], Figures]] = {
    "scores": _scores,
    "retention": _retention,
    "forgotten": _forgotten,
    "facts": _facts,
    "retain_tasks": _retain_tasks,
    "path": _path,
    "probe": _probe,
}


def _primary(result: CellResult) -> str:
    scores = result["scores"]
    return scores["primary"] if scores else ""


def _right(rows: Answered, model: str) -> list[bool]:
    return right(rows["gold"], rows["answers"][model])


def _scored(place: str, metric: str, rows: Answered, model: str) -> Figures:
    """A model's score on rows, where it is one that answers give."""
    if metric not in METRICS:
        return {}
    return {place: score([metric], rows["gold"], rows["answers"][model])[0][metric]}


def _read(part: PartAnswers, model: str) -> float:
    """A model's mean loss on the text, nats per token."""
    tokens, text = _tokens(part), part["text"]
    return sum(text["nats"][model]) / sum(tokens) if text else 0.0


def _tokens(part: PartAnswers) -> list[int]:
    if part["text"] is None or not sum(part["text"]["tokens"]):
        raise ValueError(f"{part['part']} has no losses on the text")
    return part["text"]["tokens"]


def _mean(values: Sequence[float]) -> float:
    if not values:
        raise ValueError("there are no rows")
    return sum(values) / len(values)
