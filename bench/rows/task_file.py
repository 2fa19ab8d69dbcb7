"""A reader's own task: described in a TOML file, its rows in files beside it."""

from __future__ import annotations

import hashlib
import json
import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from bench.core.errors import BenchError, unknown_name
from bench.core.text import printable
from bench.rows.files import Record, brief, labelled, pick, read_bytes, read_toml, records
from bench.rows.task import SPLITS, Classic, Files, Format, Kind, Row, Task

FORMATS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv_tabs",
    ".json": "json",
    ".jsonl": "jsonl",
}
PARQUET = ".parquet"
# key -> what a task file must give for it
_KEYS: dict[str, tuple[type, ...]] = {
    "name": (str,),
    "kind": (str,),
    "columns": (list, dict),
    "prompt": (str,),
    "metrics": (list,),
    "files": (dict,),
    "labels": (list, dict),
    "choices": (list,),
    "target": (str,),
    "extract": (str,),
    "max_new_tokens": (int,),
    "paper": (str,),
    "about": (str,),
}
_NEEDED = ("name", "kind", "metrics", "files")
_ASKED = ("columns", "prompt")
# kind -> (the keys that it needs besides, those that it may have)
_KEYS_BY_KIND: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "classification": ((*_ASKED, "labels"), ()),
    "regression": ((*_ASKED, "labels"), ()),
    "multiple_choice": ((*_ASKED, "choices"), ("labels",)),
    "generation": ((*_ASKED, "target", "max_new_tokens"), ("extract",)),
    "text": (("target",), _ASKED),
}
_METRICS: dict[str, tuple[str, ...]] = {
    "classification": ("accuracy", "f1", "f1_macro", "matthews_correlation"),
    "regression": ("pearson", "spearman"),
    "multiple_choice": ("accuracy", "accuracy_norm"),
    "generation": ("exact_match", "bleu"),
    "text": ("perplexity",),
}
_WORDS = {str: "text", list: "a list", dict: "a table", int: "a whole number"}


def read_task(path: Path) -> Task:
    """The task that a TOML file describes; its files' paths are relative to its folder.

    Raises:
        BenchError: the file is unreadable, or a key is unknown, missing or has a wrong value; the
            line or the key is named.
    """
    given = read_toml(path, "task file")
    try:
        return _task(given, path.parent)
    except ValueError as error:
        raise BenchError(f"task file {path}: {error}.") from None
    except BenchError as error:
        raise BenchError(f"task file {path}: {error}") from None


def _task(given: dict[str, Any], folder: Path) -> Task:
    _check_keys(given)
    columns = _mapping("columns", given.get("columns", {}))
    labels = _mapping("labels", given.get("labels", {}))
    choices = tuple(_mapping("choices", given.get("choices", [])))
    special = {"label", given.get("target"), *choices}
    asked = tuple(name for name in columns if name not in special)
    known = {column: column for column in (*choices, given.get("target")) if column}
    if "target" not in given:
        known["label"] = "label"
    task = Task(
        name=given["name"],
        kind=given["kind"],
        columns=asked,
        labels=choices or tuple(labels),
        words=tuple(labels.values()),
        prompt=given.get("prompt", ""),
        metrics=tuple(given["metrics"]),
        files=Files(
            paths=_paths(given["files"], folder),
            columns={**known, **columns},
            label_spellings=tuple(labels),
        ),
        **{key: given[key] for key in _OPTIONAL if key in given},
    )
    _check_columns(task)
    _check_metrics(task)
    _check_answers(task)
    return task


_OPTIONAL = ("target", "extract", "max_new_tokens", "paper", "about")


def _mapping(key: str, value: list[Any] | dict[str, Any]) -> dict[str, str]:
    """A table as it is; a list as a table of each name to itself."""
    names = list(value) if isinstance(value, dict) else [str(name) for name in value]
    for name in names:
        if printable(name) != name:
            raise ValueError(f"{key} names {name!r}, which holds characters that cannot be shown")
    if len(names) > len(set(names)):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{key} names {twice!r} twice")
    found = value if isinstance(value, dict) else dict(zip(names, value, strict=True))
    for name, theirs in found.items():
        if not isinstance(theirs, str | int | float) or isinstance(theirs, bool) or theirs == "":
            raise ValueError(f"{key}.{name} must be a text, not {theirs!r}")
    return {name: str(theirs) for name, theirs in found.items()}


def _check_keys(given: dict[str, Any]) -> None:
    for key, value in given.items():
        if key not in _KEYS:
            raise unknown_name("key", key, _KEYS)
        if not isinstance(value, _KEYS[key]) or isinstance(value, bool):
            wanted = " or ".join(_WORDS[kind] for kind in _KEYS[key])
            raise ValueError(f"{key} must be {wanted}, not {value!r}")
    for key in ("name", "paper", "about"):
        if printable(str(given.get(key, ""))) != given.get(key, ""):
            raise ValueError(f"{key} {given[key]!r} holds characters that cannot be shown")
    kind = given.get("kind")
    if kind is not None and kind not in get_args(Kind):
        raise unknown_name("kind", kind, get_args(Kind))
    needed, optional = _KEYS_BY_KIND.get(str(kind), ((), ()))
    if missing := [key for key in (*_NEEDED, *needed) if key not in given]:
        raise ValueError(f"the key {missing[0]!r} is missing")
    for key in given:
        if key not in (*_NEEDED, *needed, *optional, "paper", "about"):
            raise ValueError(f"the key {key!r} means nothing to a task of {kind}")


def _paths(files: dict[str, Any], folder: Path) -> dict[str, Path]:
    for split in files:
        if split not in SPLITS:
            raise unknown_name("split in files", split, SPLITS)
    if missing := [split for split in SPLITS if split not in files]:
        raise ValueError(f"files.{missing[0]} is missing")
    paths = {split: folder / str(files[split]) for split in SPLITS}
    for split, path in paths.items():
        if path.suffix not in (*FORMATS, PARQUET):
            raise ValueError(
                f"files.{split} = {files[split]!r} does not end in {', '.join([*FORMATS, PARQUET])}"
            )
        if not path.is_file():
            raise ValueError(f"files.{split}: there is no {path}")
    return paths


def _check_columns(task: Task) -> None:
    """There is something to ask, and the prompt asks it."""
    for column in (*task.columns, *(task.labels if task.kind == "multiple_choice" else ())):
        if column in ("id", "label"):
            raise ValueError(f"{column!r} is the suite's own name: call this column another")
    if task.kind != "text" and not task.columns:
        raise ValueError("columns names nothing to ask about")
    try:
        fields = [field for _, field, _, _ in string.Formatter().parse(task.prompt) if field]
        for field in fields:
            if field not in task.columns:
                raise unknown_name("column in prompt", field, task.columns)
        task.prompt.format(**dict.fromkeys(task.columns, ""))
    except (ValueError, LookupError, AttributeError) as error:
        raise ValueError(f"prompt {task.prompt!r} is no text with {{column}}s: {error}") from None
    if task.kind != "text" and not fields:
        raise ValueError(f"prompt names no column, such as {{{task.columns[0]}}}")


def _check_metrics(task: Task) -> None:
    """The metrics measure such answers."""
    fitting = _METRICS[task.kind]
    for metric in task.metrics:
        if metric not in fitting:
            raise unknown_name(f"metric of {task.kind}", str(metric), fitting)
    if "f1" in task.metrics and len(task.labels) > 2:
        raise ValueError("f1 is of two labels; take f1_macro")
    if not task.metrics:
        raise ValueError("metrics is empty")


def _check_answers(task: Task) -> None:
    """There are answers, and they can be told apart."""
    if task.kind in ("classification", "regression") and len(task.labels) < 2:
        raise ValueError("labels must name two or more")
    if len(set(task.words)) < len(task.words):
        raise ValueError("two labels have the same word")
    if task.kind == "regression":
        _check_scale(task)
    if task.kind == "multiple_choice":
        if len(task.labels) < 2:
            raise ValueError("choices must name two or more")
        if task.words and len(task.words) != len(task.labels):
            raise ValueError(f"{len(task.words)} labels for {len(task.labels)} choices")
    if task.kind == "generation" and task.max_new_tokens < 1:
        raise ValueError(f"max_new_tokens = {task.max_new_tokens}: must be 1 or more")
    try:
        groups = re.compile(task.extract).groups
    except re.error as error:
        raise ValueError(f"extract {task.extract!r} is no regular expression: {error}") from None
    if task.extract and not groups:
        raise ValueError(f"extract {task.extract!r} has no (group) around what counts")


def _check_scale(task: Task) -> None:
    try:
        scale = [float(label) for label in (*task.labels, *task.words)]
    except ValueError as error:
        raise ValueError(f"labels of a regression must be numbers: {error}") from None
    if scale != sorted(scale[: len(task.labels)]) * 2:
        raise ValueError("labels of a regression must rise, and be their own words")


def rows(task: Task, files: Files, split: str) -> list[Row]:
    """The rows of one split, in order.

    Raises:
        BenchError: the file cannot be read or is malformed; it and the line are named.
    """
    path = files.paths[split]
    unit = {".json": ", object ", PARQUET: ", row "}.get(path.suffix, ":")
    found = []
    for number, values in _records(files, path):
        place = f"{path}{unit}{number}"
        if "label" in values and task.kind != "regression":
            label = values["label"]
            values["label"] = json.dumps(label) if isinstance(label, bool) else str(label)
        try:
            row = labelled(task, values, files.label_spellings)
        except ValueError as error:
            raise BenchError(f"{place}: {error}.") from None
        found.append({"id": f"{split}-{number}", **row})
    if not found:
        raise BenchError(f"{path} has no rows.")
    return found


def digest_of(path: Path) -> str:
    """sha256 of a file's content."""
    return hashlib.sha256(read_bytes(path)).hexdigest()


def _records(files: Files, path: Path) -> Iterator[Record]:
    if path.suffix == PARQUET:
        return _parquet(files, path)
    columns: dict[str, str | int] = dict(files.columns)
    form = FORMATS[path.suffix]
    layout = Classic("", "", (), columns, files.label_spellings, header=True, format=form)
    return records(layout, path)


def _parquet(files: Files, path: Path) -> Iterator[Record]:
    from pyarrow import ArrowException, parquet

    def unreadable(error: Exception) -> BenchError:
        first = str(error).partition("\n")[0].rstrip(".")
        return BenchError(f"{path} cannot be read: {first}.")

    try:
        table = parquet.read_table(path)
        there = table.column_names
    except (OSError, ArrowException, UnicodeDecodeError) as error:
        raise unreadable(error) from None
    heads = {c: c if c in there else c.partition(".")[0] for c in files.columns.values()}
    for theirs, head in heads.items():
        if head not in there:
            raise BenchError(f"{path}: no column {theirs!r}; found: {brief(there)}.")
    try:
        found = table.select(sorted(set(heads.values()))).to_pylist()
    except (ArrowException, ValueError, OverflowError) as error:  # half a character, a year 99999
        raise unreadable(error) from None
    for number, record in enumerate(found, start=1):
        try:
            yield number, {ours: pick(record, theirs) for ours, theirs in files.columns.items()}
        except LookupError as error:
            place = f"{path}, row {number}"
            raise BenchError(f"{place}: no {error.args[0]!r} in {brief([record])}.") from None
