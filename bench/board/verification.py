"""Whether a result says what its stored answers say: every figure that they give, computed anew."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.board import sequence_measures
from bench.board.cell_table import flat
from bench.cells.gathering import cell_name
from bench.cells.result import CellResult, Predictions
from bench.core.hashing import digest
from bench.rows.lookup import Lookup
from bench.rows.portions import VALIDATION
from bench.scoring.chance import given, majority
from bench.scoring.metrics import METRICS, score
from bench.scoring.predictions import flips, guess_chance, right

FIGURES = (
    "scores", "chance", "flips", "retention", "forgotten", "facts", "lm_eval", "retain_tasks",
    "path", "probe", "elicited", "drift", "costs",
)  # fmt: skip
"""The parts of a result that hold figures, beside the scores of a sequence."""
_TRAIN = "train-"
"""In front of the ids of training rows: those that are scored were split off for validation."""
_WORDS = ("scores.primary", "scores.notes", "retention.text", "forgotten.tasks")
_NEAR = 1e-9
"""Relative: libraries of another version may sum in another order."""


@dataclass(frozen=True)
class Verified:
    """What came of a finished cell."""

    name: str
    agree: int  # figures that its answers give as the result states them
    differ: tuple[str, ...]  # a line for each that they give otherwise
    unchecked: tuple[str, ...]  # what nothing is stored to compute from, in words


def verify(result: CellResult, answers: Predictions | None, rows: Lookup) -> Verified:
    """Compute again every figure of a finished cell that its answers, or others of its figures,
    give; and hold its right answers against the rows, where these are at hand."""
    differ, unchecked = _gold(result, answers, rows)
    stated, found = _stated(result), _of_itself(result)
    if answers is None:
        unchecked.append("answers (not kept)")
    else:
        try:
            found |= _of_answers(result, answers)
        except (ValueError, TypeError) as error:
            differ.append(f"its answers cannot be scored ({error})")
    known = sorted(found.keys() & stated.keys())
    differ += [
        f"{name} is {stated[name]}, and {found[name]} when it is computed again"
        for name in known
        if not _same(stated[name], found[name])
    ]
    unchecked += dict.fromkeys(
        name if answers and name.startswith(("scores.", "R[")) else name.partition(".")[0]
        for name in stated
        if name not in found
    )
    agree = sum(_same(stated[name], found[name]) for name in known)
    return Verified(cell_name(result), agree, tuple(differ), tuple(unchecked))


def _gold(
    result: CellResult, answers: Predictions | None, rows: Lookup
) -> tuple[list[str], list[str]]:
    """What is wrong with the right answers that are stored, and why they could not be looked at."""
    cell = result["cell"]
    if answers is None:
        return [], []
    if answers["hash"] != result["hash"]:
        return ["its answers are those of another cell"], []
    recipe = cell["training"]
    tasks = cell.get("stages") or [cell["task"]]
    letters, validated = recipe.get("choices") == "letter", bool(recipe.get("validation"))
    found = rows.rows(tasks, cell["data"]["hash"], letters, validated)
    if isinstance(found, str):
        return [], [f"gold ({found})"]
    wrong = []
    for id, gold in zip(answers["id"], answers["gold"], strict=True):
        asked = found.get(id)
        if asked is None or (asked.task.kind != "text" and asked.task.reference(asked.row) != gold):
            wrong.append(id)
    if wrong:
        return [f"gold is not that of the rows in {len(wrong)} of them, such as {wrong[0]}"], []
    return [], []


def _stated(result: CellResult) -> dict[str, Any]:
    """Every figure of a result, by its path: `scores.after.accuracy`."""
    whole: Mapping[str, Any] = result
    found = flat("", {name: whole[name] for name in FIGURES}) | {".hash": result["hash"]}
    if sequence := result["sequence"]:
        found |= {f".R[{k}]": row for k, row in enumerate(sequence["matrix"])}
    named = {name.removeprefix("."): value for name, value in found.items() if value is not None}
    return {name: value for name, value in named.items() if name not in _WORDS}


def _of_itself(result: CellResult) -> dict[str, Any]:
    """The figures that others of the result give."""
    found: dict[str, Any] = {"hash": digest(result["cell"])}
    if costs := result["costs"]:
        found["costs.method"] = costs["prepare"] + costs["train"] + costs["finish"]
    if sequence := result["sequence"]:
        for when, row in (("before", 0), ("after", -1)):
            mean = sequence_measures.average(sequence["matrix"][row])
            found[f"scores.{when}.average"] = mean
    return found


def _of_answers(result: CellResult, answers: Predictions) -> dict[str, Any]:
    """The figures that the answers to the dev rows give."""
    if sequence := result["sequence"]:
        pairs = list(zip(sequence["tasks"], sequence["metrics"], strict=True))
        return {
            f"R[{k}]": [
                _score(metric, answers, _with_front(answers, f"{task}-"), when)
                for task, metric in pairs
            ]
            for k, when in ((0, "before"), (len(pairs), "after"))
            if all(metric in METRICS for _, metric in pairs)
        }
    scores, count = result["scores"], result["data"]["dev_rows"]
    assert scores is not None, "a finished cell has scores"
    gold, before, after = (list(column[:count]) for column in _columns(answers))
    if len(gold) < count:
        raise ValueError(f"{len(gold)} of {count} rows are answered")
    found = {
        f"scores.{when}.{name}": _score(
            metric, answers, list(_of_split(answers, split, count)), when
        )
        for when, values in (("before", scores["before"]), ("after", scores["after"]))
        for name in values
        for split, metric in _split_and_metric(name)
    }
    chance = {
        "majority": majority(scores["primary"], gold),
        "before": given(before),
        "after": given(after),
    }
    if result["flips"]:
        chance_of = guess_chance(answers["scores_after"][:count])
        found |= flat("flips", flips(right(gold, before), right(gold, after), chance_of))
    return found | flat("chance", chance)


def _columns(answers: Predictions) -> tuple[Sequence[Any], Sequence[Any], Sequence[Any]]:
    return answers["gold"], answers["before"], answers["after"]


def _split_and_metric(name: str) -> Iterator[tuple[str, str]]:
    """The dev split and the metric that a score is called by, where the answers give it:
    `mismatched_accuracy`."""
    if name in METRICS:
        yield "dev", name
        return
    known = [metric for metric in METRICS if name.endswith(f"_{metric}")]
    if known:
        metric = max(known, key=len)
        yield name.removesuffix(f"_{metric}"), metric


def _of_split(answers: Predictions, split: str, count: int) -> Sequence[int]:
    """The places of a split's rows; those of dev, `count`, stand first."""
    if split == "dev":
        return range(count)
    return _with_front(answers, _TRAIN if split == VALIDATION else f"{split}-")


def _with_front(answers: Predictions, front: str) -> list[int]:
    return [i for i, name in enumerate(answers["id"]) if name.startswith(front)]


def _score(metric: str, answers: Predictions, rows: Sequence[int], when: str) -> float:
    gold, before, after = _columns(answers)
    given = before if when == "before" else after
    values, _ = score([metric], [gold[i] for i in rows], [given[i] for i in rows])
    return values[metric]


def _same(stated: Any, found: Any) -> bool:
    if isinstance(stated, list) and isinstance(found, list):
        return len(stated) == len(found) and all(map(_same, stated, found))
    if isinstance(stated, str) or isinstance(found, str) or found is None:
        return bool(stated == found)
    return math.isclose(stated, found, rel_tol=_NEAR, abs_tol=1e-12)
