"""From a file, whoever wrote it, to a result or rows of answers: one line says what is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from bench.cells.measured import PARTS
from bench.cells.result import (
    ADDED,
    SCHEMA_VERSION,
    CellResult,
    FurtherAnswers,
    PartAnswers,
    Predictions,
)
from bench.core.errors import BenchError
from bench.core.hashing import text_digest
from bench.core.shapes import check_of
from bench.core.text import may_be_odd, printable, printable_values


class DamagedError(BenchError):
    """A file that is not what it should be."""


def read_result(path: Path) -> CellResult:
    """The result in a file, that of an older version with what came since; all its texts can be
    printed.

    Raises:
        DamagedError: it cannot be read, or something in it is of another kind.
        BenchError: a newer version of this program wrote it.
    """
    value = parsed(path)
    _upgrade(value)
    version = value.get("schema_version") if isinstance(value, dict) else None
    if type(version) is int and version > SCHEMA_VERSION:
        raise BenchError(
            f"{_name(path)} has schema_version {version}, this program reads {SCHEMA_VERSION}. "
            "A newer version of this program wrote it: update."
        )
    if problem := _problem(value, version):
        raise DamagedError(f"{_name(path)}{problem}.")
    return cast(CellResult, value)


def read_predictions(path: Path, wanted: str | None = None) -> Predictions:
    """The rows of answers in a file; raises DamagedError as `read_result`, and where the digest of
    the file's text is not the one that is wanted."""
    value, text = _parsed(path)
    if problem := check_of(Predictions)(value) or _unequal(value) or _changed(text, wanted):
        raise DamagedError(f"{_name(path)}{_said(problem)}.")
    return cast(Predictions, value)


def read_part_answers(path: Path, wanted: str | None = None) -> FurtherAnswers:
    """The answers behind parts in a file; raises DamagedError as `read_predictions`."""
    value, text = _parsed(path)
    if (
        problem := check_of(FurtherAnswers)(value)
        or _ragged(value["parts"])
        or _changed(text, wanted)
    ):
        raise DamagedError(f"{_name(path)}{_said(problem)}.")
    return cast(FurtherAnswers, value)


def parsed(path: Path) -> Any:
    """The JSON value in a file, printable; raises DamagedError where there is none."""
    return _parsed(path)[0]


def _parsed(path: Path) -> tuple[Any, str]:
    """The value, and the text that it was."""
    try:
        text = path.read_text("utf-8")
        value = json.loads(text, parse_constant=_refuse_constant)
        return printable_values(value) if may_be_odd(text) else value, text
    except (OSError, ValueError, RecursionError) as error:
        reason = printable(str(error))
        raise DamagedError(
            f"{_name(path)} is no readable result ({reason}). "
            "Move it away, and its cell is run again."
        ) from error


def _changed(text: str, wanted: str | None) -> str | None:
    """That a file's text is not the one whose digest is wanted."""
    changed = wanted not in (None, text_digest(text))
    return " is not as it was written: move it away" if changed else None


def _name(path: Path) -> str:
    return printable(str(path))


def _said(problem: str) -> str:
    """A problem behind a file's name: ": scores.before must be ..." or " lacks ..."."""
    return f": {problem[1:]}" if problem.startswith(".") else problem


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number in JSON")


def _upgrade(value: Any) -> None:
    """Give the result of an older version what came since: None, whether its rows are made up,
    which the label of its data said, and what it was measured on."""
    version = value.get("schema_version") if isinstance(value, dict) else None
    if type(version) is int and 0 < version < SCHEMA_VERSION:
        value.update({part: None for part, since in ADDED.items() if version < since})
        if version < ADDED["generated"]:
            value["generated"] = "generated, not GLUE" in str(value.get("labels"))
        if version < ADDED["measured"]:
            value |= {"measured": _measured(value), "earlier": []}
        value["schema_version"] = SCHEMA_VERSION


def _measured(value: Mapping[str, Any]) -> dict[str, Any]:
    """What an older result was measured on, where its hash does not say it: the forgetting tasks.
    On the rest it was measured once."""
    forgotten = value.get("forgotten")
    tasks = forgotten.get("tasks") if isinstance(forgotten, dict) else None
    once: dict[str, Any] = {part: {} for part in ("scores", "retention", "facts", "lm_eval")}
    return once | ({"forgotten": {"tasks": tasks}} if isinstance(tasks, list) else {})


def _problem(value: Any, version: Any) -> str | None:
    """What keeps a parsed file from being a CellResult of this version, None where nothing does."""
    if version is None:
        return " is no result: it has no schema_version"
    if type(version) is not int or version != SCHEMA_VERSION:
        return f" has schema_version {version!r}, this program reads {SCHEMA_VERSION}"
    problem = check_of(CellResult)(value) or _unnamed(value) or _unfinished(value)
    problem = problem or _odd_earlier(value)
    return _said(problem) if problem else None


def _odd_earlier(value: CellResult) -> str | None:
    """What keeps the result from being whole with an earlier measurement at its top."""
    for number, each in enumerate(value["earlier"]):
        place = f".earlier.{number}"
        if each["fields"].keys() != set(PARTS.get(each["part"], ())):
            return f"{place} must be a part of a result, not {each['part']!r}"
        measured = {**value["measured"], each["part"]: each["on"]}
        whole = cast(CellResult, {**value, **each["fields"], "measured": measured})
        if problem := check_of(CellResult)(whole) or _unfinished(whole):
            return f"{place}.fields{problem}"
    return None


def _unnamed(value: CellResult) -> str | None:
    """What every result, and every point of its curve, must be called by."""
    if missing := {"model", "data", "method"} - value["labels"].keys():
        return f".labels lacks {', '.join(sorted(missing))}"
    version = value["cell"]["suite_version"]
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9}){0,3}", version):
        return f".cell.suite_version must be numbers with dots between, not {version!r}"
    lost = next((i for i, point in enumerate(value["curve"]) if "step" not in point), None)
    return None if lost is None else f".curve.{lost} lacks step"


def _unfinished(value: CellResult) -> str | None:
    """What a finished result must have besides."""
    if value["status"] != "done":
        return None
    scores = value["scores"]
    if "scores" not in value["measured"]:
        return ".measured lacks scores"
    if scores is None or value["costs"] is None:
        return f" lacks {'scores' if scores is None else 'costs'}"
    for part in (scores["before"], scores["after"]):
        if scores["primary"] not in part:
            return f".scores.primary must be a score, not {scores['primary']!r}"
    sequence = value["sequence"]
    if sequence is not None:
        n = len(sequence["tasks"])
        sizes = [len(sequence["metrics"]), *map(len, sequence["matrix"])]
        if n < 2 or sizes != [n] * (n + 2):
            return ".sequence.matrix must have a row more than its tasks, and a column for each"
    return None


def _unequal(value: Predictions) -> str | None:
    columns = ("id", "gold", "before", "after", "scores_after")
    sizes = {name: len(value[name]) for name in columns}  # type: ignore[literal-required]
    return None if len(set(sizes.values())) == 1 else f" has columns of unequal lengths: {sizes}"


def _ragged(parts: list[PartAnswers]) -> str | None:
    """The column of some part that has not an entry for each row or block; None where none is."""
    for part in parts:
        for name, rows in part["rows"].items():
            sizes = {"gold": len(rows["gold"]), "choices": len(rows.get("choices", rows["id"]))}
            columns = *rows["answers"].items(), *rows.get("losses", {}).items()
            sizes |= {model: len(each) for model, each in columns if each}
            if odd := [column for column, size in sizes.items() if size != len(rows["id"])]:
                return f" has columns of unequal lengths: {part['part']} of {name}, {odd[0]}"
        text = part["text"]
        if text and any(len(nats) != len(text["tokens"]) for nats in text["nats"].values()):
            return f" has columns of unequal lengths: {part['part']}, the text"
    return None
