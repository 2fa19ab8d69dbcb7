"""Where a task's rows come from: its own files, a folder (in the classic layout, or as `datasets`
saves it), the hub, or a world that a package brings and registers."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.core.errors import BenchError
from bench.core.hub import hub_access
from bench.core.registry import Registry
from bench.rows import saved, task_file
from bench.rows.files import classic_rows, read_bytes
from bench.rows.saved import dataset_rows
from bench.rows.task import SPLITS, Classic, Files, Hub, Row, Task

HUB = "hub"


@dataclass(frozen=True)
class EmbeddedModel:
    """A model that a source brings along, by whose name `--model` finds it."""

    folder: Path
    twin: str | None = None  # the same without the conflict that was planted in this one


@dataclass(frozen=True)
class Told:
    """What a text says of one thing that a generated world knows."""

    conflicting: bool  # it repeats what was planted and is outdated; False: it is true
    item: str  # which thing, as `Source.asked` names it


class Source(Protocol):
    """A place that rows come from. What a generated world has besides rows, others have not: it
    goes with `--data` and is asked of `source_named`; rows are asked of `source_of`."""

    generated: bool = False
    """Whether the rows are made up under the names of published tasks, so that scores on them are
    no scores on those tasks."""
    embedded_models: Mapping[str, EmbeddedModel] = {}

    def place(self, task: Task) -> str:
        """Where the task's rows lie: a folder's path, or a name, as plans and boards have it."""
        ...

    def holding(self, task: Task) -> str:
        """What it has of the task, for the task's card; "" where it cannot have any."""
        ...

    def available(self, task: Task) -> bool:
        """Whether there are rows of all splits; for files, whether the files are there."""
        ...

    def splits(self, task: Task) -> tuple[str, ...]:
        """The task's splits, "train" and "dev" first."""
        return (*SPLITS, *task.extra)

    def rows(self, task: Task, split: str) -> list[Row]:
        """All rows of one of `splits`, or of `prompt_split`, in order; at least one.

        Raises:
            BenchError: the rows are not there, cannot be reached, or are malformed (file and line
                are named).
        """
        ...

    def fingerprint(self, task: Task) -> str:
        """A sha256 of what `rows` would read: it changes with the rows, not with their place.

        Raises:
            BenchError: a file is missing or cannot be read.
        """
        ...

    def retention_text(self) -> str | None:
        """A text of what the embedded models know, which should be retained."""
        return None

    def facts(self) -> tuple[Task, list[Row]] | None:
        """Questions on what pretraining told, and their task."""
        return None

    def truth(self) -> Callable[[str], Told | None] | None:
        """What tells what a text says: None of a text where that cannot be told."""
        return None

    def asked(self, task: Task) -> Mapping[str, bool]:
        """The items that the task's dev rows ask about, and whether its training rows teach them;
        none where there is no `truth`."""
        return {}

    def prompt_split(self, task: Task) -> str:
        """The split whose prompts a method asks of a model to see what it believes: the training
        rows, unless rows are set apart for it."""
        return "train"

    def foil(self, row: Row) -> int | None:
        """The answer that conflicting knowledge gives to a row, as an index like its label; None
        where it gives the right one, or nothing is known of it."""
        return None


class HubSource(Source):
    """The Hugging Face hub, at each task's pinned revision."""

    def place(self, task: Task) -> str:
        return HUB

    def holding(self, task: Task) -> str:
        hub = task.hub
        commit = f"{hub.revision[:12]} (never loaded here)" if hub else ""
        return f"{hub.path} ({hub.config}) at {commit}" if hub else ""

    def available(self, task: Task) -> bool:
        return task.hub is not None

    def rows(self, task: Task, split: str) -> list[Row]:
        task = _owner(task, split)
        hub = _hub(task)
        return _some(_hub_rows(task, hub, split), f"{hub.path} ({hub.config}, {split})")

    def fingerprint(self, task: Task) -> str:
        """Of path, configuration and pinned revision; nothing is downloaded."""
        owners = [task, task.train_from] if task.train_from else [task]
        hubs = map(_hub, owners)
        return _sha256(part for hub in hubs for part in (hub.path, hub.config, hub.revision))


@dataclass(frozen=True)
class Folder(Source):
    """A folder of data sets, in the classic layout or as `datasets` saves them."""

    path: str

    def place(self, task: Task) -> str:
        return self.path

    def holding(self, task: Task) -> str:
        classic = task.classic
        if classic is None:
            return ""
        files = " or ".join(", ".join(layout.values()) for _, layout in classic.forms)
        return f"{classic.group}/{classic.folder}: {files}"

    def available(self, task: Task) -> bool:
        try:
            return all(
                saved.folder(owner := _owner(task, split), self.path) or self._file(owner, split)
                for split in self.splits(task)
            )
        except BenchError:
            return False

    def rows(self, task: Task, split: str) -> list[Row]:
        task = _owner(task, split)
        if saved_at := saved.folder(task, self.path):
            rows, where = saved.rows(task, _hub(task), saved_at, split), f"{saved_at} ({split})"
        else:
            classic, path = self._file(task, split)
            rows, where = classic_rows(task, classic, path, split), str(path)
        return _some(rows, where)

    def fingerprint(self, task: Task) -> str:
        return _sha256(
            digest
            for split in self.splits(task)
            for digest in self._digests(_owner(task, split), split)
        )

    def _digests(self, task: Task, split: str) -> list[str]:
        """sha256 of each file that one split is read from."""
        if saved_at := saved.folder(task, self.path):
            return saved.digests(_hub(task), saved_at, split)
        return [hashlib.sha256(read_bytes(self._file(task, split)[1])).hexdigest()]

    def _file(self, task: Task, split: str) -> tuple[Classic, Path]:
        """The file of one split, in the layout that most files in the task's folder belong to, and
        what is in it."""
        classic, root = task.classic, Path(self.path).expanduser()
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


class OwnFiles(Source):
    """The files that a task names itself."""

    def place(self, task: Task) -> str:
        """The folder that all of them lie in."""
        paths = [path.resolve().parent for path in _files(task).paths.values()]
        return os.path.commonpath(paths)

    def holding(self, task: Task) -> str:
        return ", ".join(map(str, task.files.paths.values())) if task.files else ""

    def available(self, task: Task) -> bool:
        return all(path.is_file() for path in _files(task).paths.values())

    def rows(self, task: Task, split: str) -> list[Row]:
        return task_file.rows(task, _files(task), split)

    def fingerprint(self, task: Task) -> str:
        return _sha256(task_file.digest_of(path) for path in _files(task).paths.values())


SOURCES: Registry[Source] = Registry("data source")
"""The sources that `--data` knows by name; what is none of them is a folder."""
SOURCES.add(HUB, HubSource(), __name__)


def source_named(data: str) -> Source:
    """What `--data` names."""
    return SOURCES.get(data) if data in SOURCES.names() else Folder(data)


def source_of(task: Task, data: str) -> Source:
    """Where a task's rows come from: its own files, if it has any, whatever `--data` names."""
    return OwnFiles() if task.files else source_named(data)


def load_rows(task: Task, data: str, split: str) -> list[Row]:
    """`Source.rows` of the task's source."""
    return source_of(task, data).rows(task, split)


def places(tasks: Iterable[Task], data: str) -> list[str]:
    """Where the rows of tasks lie, each place once."""
    return list(dict.fromkeys(source_of(task, data).place(task) for task in tasks))


def sources_by_name() -> dict[str, Source]:
    """Every kind of source, by what lists call it."""
    named = {name: SOURCES.get(name) for name in SOURCES.names()}
    return {HUB: named[HUB], "folder": Folder(""), "own files": OwnFiles(), **named}


def embedded_models() -> dict[str, EmbeddedModel]:
    """The models that the named sources bring along, by name."""
    named = (SOURCES.get(name) for name in SOURCES.names())
    return {name: model for one in named for name, model in one.embedded_models.items()}


def _sha256(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _some(rows: list[Row], where: str) -> list[Row]:
    if not rows:
        raise BenchError(f"{where} has no rows.")
    return rows


def _owner(task: Task, split: str) -> Task:
    """The task whose rows these are."""
    return task.train_from if split == "train" and task.train_from else task


def _files(task: Task) -> Files:
    """The task's own files, which it has where `source_of` says OwnFiles."""
    assert task.files is not None, task.name
    return task.files


def _hub(task: Task) -> Hub:
    """The task's place on the hub; raises BenchError where there is none."""
    if task.hub is None:
        raise BenchError(
            f"the hub has no rows with answers for the task {task.name!r}: give a folder with "
            "--data FOLDER."
        )
    return task.hub


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
