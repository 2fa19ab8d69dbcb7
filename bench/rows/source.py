"""Where a task's rows come from: its own files, the micro world, a folder (in the classic layout,
or as `datasets` saves it), or the hub."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from bench.core.errors import BenchError
from bench.core.hub import hub_access
from bench.rows import saved, task_file
from bench.rows.files import classic_rows, read_bytes
from bench.rows.saved import dataset_rows
from bench.rows.task import SPLITS, Classic, Hub, Row, Task
from tasks import micro
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
    if task.files:
        return task_file.rows(task, task.files, split)
    if data == MICRO:
        return micro.rows(task.name, split)
    task = _owner(task, split)
    if data == HUB:
        hub = _hub(task)
        rows, where = _hub_rows(task, hub, split), f"{hub.path} ({hub.config}, {split})"
    elif saved_at := saved.folder(task, data):
        rows, where = saved.rows(task, _hub(task), saved_at, split), f"{saved_at} ({split})"
    else:
        classic, path = _file(task, data, split)
        rows, where = classic_rows(task, classic, path, split), str(path)
    if not rows:
        raise BenchError(f"{where} has no rows.")
    return rows


def fingerprint(task: Task, data: str) -> str:
    """A sha256 of what `load_rows` would read: it changes with the rows, not with their place.

    On the hub that is the path, configuration and pinned revision; nothing is downloaded.

    Raises:
        BenchError: a file is missing or cannot be read.
    """
    if task.files:
        parts = [task_file.digest_of(path) for path in task.files.paths.values()]
    elif data == MICRO:
        return micro.fingerprint(task.name)
    elif data == HUB:
        owners = [task, task.train_from] if task.train_from else [task]
        hubs = map(_hub, owners)
        parts = [part for hub in hubs for part in (hub.path, hub.config, hub.revision)]
    else:
        parts = [
            digest
            for split in splits(task, data)
            for digest in _digests(_owner(task, split), data, split)
        ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def available(task: Task, data: str) -> bool:
    """Whether there are rows of all splits; for files, whether the files are there."""
    if task.files:
        return all(path.is_file() for path in task.files.paths.values())
    if data == MICRO:
        return task.name in MAKERS
    if data == HUB:
        return task.hub is not None
    try:
        return all(
            saved.folder(owner := _owner(task, split), data) or _file(owner, data, split)
            for split in splits(task, data)
        )
    except BenchError:
        return False


def _digests(task: Task, data: str, split: str) -> list[str]:
    """sha256 of each file that one split is read from."""
    if saved_at := saved.folder(task, data):
        return saved.digests(_hub(task), saved_at, split)
    return [hashlib.sha256(read_bytes(_file(task, data, split)[1])).hexdigest()]


def _owner(task: Task, split: str) -> Task:
    """The task whose rows these are."""
    return task.train_from if split == "train" and task.train_from else task


def _hub(task: Task) -> Hub:
    """The task's place on the hub; raises BenchError where there is none."""
    if task.hub is None:
        raise BenchError(
            f"the hub has no rows with answers for the task {task.name!r}: give a folder with "
            "--data FOLDER."
        )
    return task.hub


def truth_of(data: str) -> Callable[[str], bool | None] | None:
    """What tells whether a text repeats conflicting knowledge; only the micro world knows."""
    return micro.is_conflicting if data == MICRO else None


def facts_of(data: str) -> tuple[Task, list[Row]] | None:
    """Questions on what pretraining told, and their task; only the micro world has them."""
    return (micro.FACTS, micro.fact_rows()) if data == MICRO else None


def _file(task: Task, data: str, split: str) -> tuple[Classic, Path]:
    """The file of one split, in the layout that most files in the task's folder belong to, and
    what is in it."""
    classic, root = task.classic, Path(data).expanduser()
    if classic is None:
        raise BenchError(f"the task {task.name!r} has no classic layout: use --data {HUB}.")
    places = (root / classic.group / classic.folder, root / classic.folder)
    folder = next((place for place in places if place.is_dir()), None)
    if folder is None:
        looked = " and ".join(map(str, places))
        raise BenchError(f"no folder with the task {task.name!r}; looked at {looked}.")
    forms = classic.forms
    form, names = max(
        forms, key=lambda form: sum((folder / name).is_file() for name in form[1].values())
    )
    if not (folder / names[split]).is_file():
        wanted = " or ".join(names[split] for _, names in forms)
        raise BenchError(f"{folder} has no {wanted}, the {split} rows of {task.name!r}.")
    return form, folder / names[split]


def _hub_rows(task: Task, hub: Hub, split: str) -> list[Row]:
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
    return dataset_rows(task, hub, dataset, split, name)
