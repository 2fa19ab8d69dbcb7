"""Whether a result says what its stored answers say: every figure that they give, computed anew."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.board import part_figures, sequence_measures
from bench.board.cell_table import flat
from bench.cells.gathering import cell_name
from bench.cells.result import Answered, CellResult, PartAnswers, Predictions
from bench.core.hashing import digest
from bench.rows.lookup import Asked, Lookup
from bench.rows.portions import VALIDATION
from bench.scoring.chance import given, majority
from bench.scoring.metrics import METRICS, score
from bench.scoring.predictions import flips, guess_chance, right

FIGURES = (
    "scores", "chance", "flips", "ceiling", "retention", "forgotten", "facts", "lm_eval",
    "elicited", "drift", "costs",
)  # fmt: skip
"""The parts of a result that hold figures, beside retention tasks, points of the path and of the
learning curve, and the scores of a sequence."""
_ON_TASKS = ("retain_tasks", "path")
"""Parts whose rows are of tasks that `on` names with the hashes of their rows."""
_ON_OWN = ("path", "probe")
"""Parts that have rows of the cell's own task."""
_TRAIN = "train-"
"""In front of the ids of training rows: those that are scored were split off for validation."""
_WORDS = (
    "scores.primary", "scores.notes", "retention.text", "forgotten.tasks", "lm_eval.version",
    "ceiling.answers",
)  # fmt: skip
_NEAR = 1e-9
"""Relative: libraries of another version may sum in another order."""


@dataclass(frozen=True)
class Verified:
    """What came of a finished cell."""

    name: str
    agree: int  # figures that its answers give as the result states them
    differ: tuple[str, ...]  # a line for each that they give otherwise
    unchecked: tuple[str, ...]  # what nothing is stored to compute from, in words


def verify(
    result: CellResult,
    answers: Predictions | None,
    rows: Lookup,
    behind: Sequence[PartAnswers] = (),
) -> Verified:
    """Compute again every figure of a finished cell that its answers, those `behind` its parts as
    they were measured last, or others of its figures give; and hold the right answers against the
    rows, where these are at hand."""
    differ, unchecked = list[str](), [] if answers else ["answers (not kept)"]
    stated, found = _stated(result), _of_itself(result)
    measured: Mapping[str, Any] = result["measured"]
    behind = [each for each in behind if measured.get(each["part"]) == each["on"]]
    try:
        differ, unknown = _gold(result, answers, behind, rows)
        unchecked += unknown
        found |= _of_answers(result, answers) if answers else {}
        found |= part_figures.figures(result, behind)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
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
    result: CellResult,
    answers: Predictions | None,
    behind: Sequence[PartAnswers],
    rows: Lookup,
) -> tuple[list[str], list[str]]:
    """What is wrong with the right answers that are stored, and why they could not be looked at."""
    if answers is not None and answers["hash"] != result["hash"]:
        return ["its answers are those of another cell"], []
    recipe = result["cell"]["training"]
    letters, validated = recipe.get("choices") == "letter", bool(recipe.get("validation"))
    wrong, unknown = [], []
    for what, tasks, hash, pairs in _sets(result, answers, behind):
        found = rows.rows(tasks, hash, letters, validated)
        if isinstance(found, str):
            unknown.append(f"gold{what} ({found})")
        elif odd := [id for id, gold in pairs if not _is_gold(found.get(id), gold)]:
            wrong.append(
                f"gold{what} is not that of the rows in {len(odd)} of them, such as {odd[0]}"
            )
    return wrong, unknown


_Set = tuple[str, Sequence[str], str, Iterable[tuple[str, Any]]]


def _sets(
    result: CellResult, answers: Predictions | None, behind: Sequence[PartAnswers]
) -> Iterator[_Set]:
    """Each set of rows with right answers: what it is called, its tasks, the hash of their rows,
    and (id, right answer)."""
    cell = result["cell"]
    own = cell["data"]["hash"]
    if answers is not None:
        yield "", cell.get("stages") or [cell["task"]], own, _pairs(answers)
    for part in behind:
        on = part["on"].get("retain_tasks", part["on"]) if part["part"] in _ON_TASKS else {}
        hashes = {task: its[1] for task, its in on.get("tasks", {}).items()}
        for name, rows in part["rows"].items():
            what = f" of {part['part']} {name}"
            if part["part"] == "scores" or (name == cell["task"] and part["part"] in _ON_OWN):
                yield what, [cell["task"]], own, _pairs(rows)
            elif name in hashes:
                yield what, [name], hashes[name], _pairs(rows)


def _pairs(rows: Predictions | Answered) -> Iterable[tuple[str, Any]]:
    return zip(rows["id"], rows["gold"], strict=True)


def _is_gold(asked: Asked | None, gold: Any) -> bool:
    """Whether it is a row's right answer; of running text none is."""
    if asked is None:
        return False
    return asked.task.kind == "text" or bool(asked.task.reference(asked.row) == gold)


def _stated(result: CellResult) -> dict[str, Any]:
    """Every figure of a result, by its path: `scores.after.accuracy`."""
    whole: Mapping[str, Any] = result
    found = flat("", {name: whole[name] for name in FIGURES}) | {".hash": result["hash"]}
    if sequence := result["sequence"]:
        found |= {f".R[{k}]": row for k, row in enumerate(sequence["matrix"])}
    for task, one in (result["retain_tasks"] or {}).items():
        found |= flat(f".retain_tasks.{task}", {**one, "metric": None})
    for point in result["path"] or ():
        found |= flat(f".path.{point['alpha']:g}", {**point, "alpha": None})
    if probe := result["probe"]:
        found |= {".probe.rows": probe["rows"], ".probe.tokens": probe["tokens"]}
        for each in probe["points"]:
            found |= flat(f".probe.{each['step']}", {**each, "step": None})
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
    primary = [metric for _, metric in _split_and_metric(scores["primary"])]
    chance = {
        "majority": majority(primary[0], gold) if primary else None,
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
