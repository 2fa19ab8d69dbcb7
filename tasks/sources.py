"""Where a task's rows come from: the micro world, a folder in the classic layout, or the hub."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.hub import hub_access
from tasks import micro
from tasks.base import SPLITS, Row, Task
from tasks.files import brief, classic_rows, pick, read_bytes
from tasks.micro.rows import MAKERS

HUB = "hub"
MICRO = "micro"


def splits(task: Task, data: str) -> tuple[str, ...]:
    """The task's splits, "train" and "dev" first; the micro world has no others."""
    return SPLITS if data == MICRO else (*SPLITS, *task.extra)


def load_rows(task: Task, data: str, split: str) -> list[Row]:
    """All rows of one split ("train", "dev" or one of `task.extra`), in order; `data` is "micro",
    "hub" or a folder.

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
        rows, where = classic_rows(task, path, split), str(path)
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
        files = (read_bytes(_file(task, data, split)) for split in splits(task, data))
        parts = [hashlib.sha256(raw).hexdigest() for raw in files]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def available(task: Task, data: str) -> bool:
    """Whether there are rows of all splits; for files, whether the files are there."""
    if data == MICRO:
        return task.name in MAKERS
    if data == HUB:
        return True
    try:
        return all(_file(task, data, split) for split in splits(task, data))
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
        if column.split(".")[0] not in dataset.column_names:
            found = brief(dataset.column_names)
            raise BenchError(f"{name} has no column {column!r}; found: {found}.")
    return [
        _hub_row(task, f"{split}-{number}", example)
        for number, example in enumerate(dataset)
        if all(example[column] == value for column, value in hub.only.items())
    ]


def _hub_row(task: Task, name: str, example: Any) -> Row:
    hub = task.hub
    row = {ours: pick(example, theirs) for ours, theirs in hub.columns.items()}
    known = list(hub.label_spellings or range(len(task.labels)))
    if row["label"] not in known:
        raise BenchError(
            f"{hub.path} ({hub.config}), row {name}: unknown label {row['label']!r}; "
            f"known: {brief(known)}."
        )
    return {"id": name, **row, "label": known.index(row["label"])}
