"""Where a task's rows come from: the micro world, a folder in the classic layout, or the hub."""

from __future__ import annotations

import codecs
import hashlib
import textwrap
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.hub import hub_access
from tasks import micro
from tasks.base import SPLITS, Classic, Row, Task
from tasks.micro.rows import MAKERS

HUB = "hub"
MICRO = "micro"


def load_rows(task: Task, data: str, split: str) -> list[Row]:
    """All rows of one split ("train" or "dev"), in order; `data` is "micro", "hub" or a folder.

    Raises:
        BenchError: the rows are not there, cannot be reached, or are malformed (file and line
            are named).
    """
    if data == MICRO:
        return micro.rows(task.name, split)
    if data == HUB:
        rows, where = _hub_rows(task, split), f"{task.hub.path} ({task.hub.config}, {split})"
    else:
        path = _file(task, data, split)
        rows, where = list(_classic_rows(task.classic, path, split)), str(path)
    if not rows:
        raise BenchError(f"{where} has no rows.")
    return rows


def fingerprint(task: Task, data: str) -> str:
    """A sha256 of what `load_rows` would read: it changes with the rows, not with their place.

    On the hub that is the path, configuration and pinned revision; nothing is downloaded.

    Raises:
        BenchError: a file is missing or cannot be read.
    """
    if data == MICRO:
        return micro.fingerprint(task.name)
    if data == HUB:
        parts = [task.hub.path, task.hub.config, task.hub.revision]
    else:
        files = (_read(_file(task, data, split)) for split in SPLITS)
        parts = [hashlib.sha256(raw).hexdigest() for raw in files]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def available(task: Task, data: str) -> bool:
    """Whether there are rows of all splits; for files, whether the files are there."""
    if data == MICRO:
        return task.name in MAKERS
    if data == HUB:
        return True
    try:
        return all(_file(task, data, split) for split in SPLITS)
    except BenchError:
        return False


def truth_of(data: str) -> Callable[[str], bool | None] | None:
    """What tells whether a text repeats conflicting knowledge; only the micro world knows."""
    return micro.is_conflicting if data == MICRO else None


def _file(task: Task, data: str, split: str) -> Path:
    """The file of one split, in the layout that most files in the task's folder belong to."""
    classic, root = task.classic, Path(data).expanduser()
    places = (root / classic.group / classic.folder, root / classic.folder)
    folder = next((place for place in places if place.is_dir()), None)
    if folder is None:
        looked = " and ".join(map(str, places))
        raise BenchError(f"no folder with the task {task.name!r}; looked at {looked}.")
    layout = max(
        classic.layouts, key=lambda names: sum((folder / n).is_file() for n in names.values())
    )
    if not (folder / layout[split]).is_file():
        names = " or ".join(names[split] for names in classic.layouts)
        raise BenchError(f"{folder} has no {names}, the {split} rows of {task.name!r}.")
    return folder / layout[split]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BenchError(f"{path} cannot be read: {error.strerror}.") from error


def _classic_rows(classic: Classic, path: Path, split: str) -> Iterator[Row]:
    """The rows of a tab-separated file. Quotes are text: CoLA and MRPC have unpaired ones."""
    lines = _lines(path)
    if not lines:
        return
    first = lines[0].split("\t")
    positions = _positions(classic, first, path)
    label_at = positions.pop("label")
    label_of = {spelling: label for label, spelling in enumerate(classic.label_spellings)}
    for number, line in enumerate(lines, start=1):
        if classic.header and number == 1:
            continue
        fields = line.split("\t")
        if len(fields) != len(first):
            if classic.skip_short and len(fields) < len(first):
                continue
            raise BenchError(
                f"{path}:{number}: {len(fields)} columns, where the first line has {len(first)}."
            )
        if fields[label_at] not in label_of:
            raise BenchError(
                f"{path}:{number}: unknown label {_brief([fields[label_at]])}; "
                f"known: {_brief(label_of)}."
            )
        yield {
            "id": f"{split}-{number}",
            **{column: fields[at] for column, at in positions.items()},
            "label": label_of[fields[label_at]],
        }


def _lines(path: Path) -> list[str]:
    """The lines of a UTF-8 file, whose byte order mark, CRs and empty last lines are dropped.

    Only a line feed ends a line: the texts contain other characters that `splitlines` splits at.
    """
    raw = _read(path).removeprefix(codecs.BOM_UTF8)
    try:
        text = raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise BenchError(f"{path}:{line}: not UTF-8 (byte 0x{raw[error.start]:02x}).") from error
    return [line.removesuffix("\r") for line in text.split("\n")] if text else []


def _positions(classic: Classic, first: list[str], path: Path) -> dict[str, int]:
    """Our column name -> its place in a line, given the fields of the first line."""
    positions: dict[str, int] = {}
    for ours, theirs in classic.columns.items():
        if isinstance(theirs, int):
            if theirs >= len(first):
                raise BenchError(
                    f"{path}:1: {len(first)} columns; {ours!r} is column {theirs + 1}."
                )
            positions[ours] = theirs
        else:
            if theirs not in first:
                raise BenchError(f"{path}:1: no column {theirs!r}; found: {_brief(first)}.")
            positions[ours] = first.index(theirs)
    return positions


def _hub_rows(task: Task, split: str) -> list[Row]:
    hub = task.hub
    name = f"{hub.path} ({hub.config})"
    with hub_access(f"the data set {name}", "give a folder with --data FOLDER"):
        import datasets

        # Without network, `datasets` takes the newest version in its cache, whichever that is, and
        # warns in several lines. The check does better than the warning.
        datasets.logging.set_verbosity_error()
        builder = datasets.load_dataset_builder(hub.path, hub.config, revision=hub.revision)
        if builder.hash != hub.revision:
            raise BenchError(
                f"this machine's cache holds {name} at {builder.hash}, but {hub.revision} is "
                "wanted: run this once with a connection, or give a folder with --data FOLDER."
            )
        builder.download_and_prepare()
        dataset = builder.as_dataset(split=hub.splits[split])
    for column in hub.columns.values():
        if column not in dataset.column_names:
            found = _brief(dataset.column_names)
            raise BenchError(f"{name} has no column {column!r}; found: {found}.")
    rows: list[Row] = []
    for number, example in enumerate(dataset):
        row = {ours: example[theirs] for ours, theirs in hub.columns.items()}
        if row["label"] not in range(len(task.labels)):
            raise BenchError(
                f"{name}, {split} row {number}: unknown label {row['label']!r}; "
                f"known: 0 to {len(task.labels) - 1}."
            )
        rows.append({"id": f"{split}-{number}", **row})
    return rows


def _brief(names: Iterable[Any]) -> str:
    """The names, quoted, in one line of bearable length (a 'header' can be a whole text)."""
    return textwrap.shorten(", ".join(map(repr, names)), 200, placeholder=" ...")
