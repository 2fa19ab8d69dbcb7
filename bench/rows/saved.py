"""Rows of data sets in Hugging Face's form: from the hub, or a folder of `save_to_disk`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError, unknown_name
from bench.rows.files import brief, labelled, pick, read_bytes
from bench.rows.label_names import places
from bench.rows.task import Hub, Row, Task

_MARK = "dataset_dict.json"


def folder(task: Task, data: str) -> Path | None:
    """Where below `data` the task lies as `DatasetDict.save_to_disk` leaves it: in a folder with
    the task's name, or with that of its configuration on the hub; None if it does not."""
    if task.hub is None:
        return None
    root = Path(data).expanduser()
    places = (root / task.name, root / task.hub.config)
    return next((place for place in places if (place / _MARK).is_file()), None)


def rows(task: Task, hub: Hub, place: Path, split: str) -> list[Row]:
    """The rows of one split.

    Raises:
        BenchError: the split is not there, or cannot be read.
    """
    import datasets

    found = _split(hub, place, split)
    try:
        dataset = datasets.load_from_disk(str(found))
        return dataset_rows(task, hub, dataset, split, str(found))
    except (OSError, ValueError, KeyError) as error:  # pyarrow's errors are of these kinds
        first = str(error).strip().partition("\n")[0]
        raise BenchError(f"{found} cannot be read: {first}.") from None


def digests(hub: Hub, place: Path, split: str) -> list[str]:
    """sha256 of each file of rows of a split, in order."""
    files = sorted(_split(hub, place, split).glob("*.arrow"))
    return [hashlib.sha256(read_bytes(file)).hexdigest() for file in files]


def _split(hub: Hub, place: Path, split: str) -> Path:
    names = (hub.splits[split], split)
    there = [path.parent.name for path in place.glob("*/state.json")]
    found = next((name for name in names if name in there), None)
    if found is None:
        raise unknown_name(f"split in {place}", names[0], there)
    return place / found


def dataset_rows(task: Task, hub: Hub, dataset: Iterable[Any], split: str, where: str) -> list[Row]:
    """The rows of a `datasets.Dataset` with the hub's columns; `where` is for messages.

    Raises:
        BenchError: a column is missing, or a label is none of the task's.
    """
    there: list[str] = dataset.column_names  # type: ignore[attr-defined]
    for column in hub.columns.values():
        if column.split(".")[0] not in there:
            raise BenchError(f"{where} has no column {column!r}; found: {brief(there)}.")
    numbers = _named_labels(task, hub, dataset, where)
    found = []
    for number, example in enumerate(dataset):
        if any(example[column] != value for column, value in hub.only.items()):
            continue
        values = {ours: pick(example, theirs) for ours, theirs in hub.columns.items()}
        if values.get("label") in numbers:
            values["label"] = numbers[values["label"]]
        name = f"{split}-{number}"
        try:
            found.append({"id": name, **labelled(task, values, hub.label_spellings)})
        except ValueError as error:
            raise BenchError(f"{where}, row {name}: {error}.") from None
    return found


def _named_labels(
    task: Task, hub: Hub, dataset: Iterable[Any], where: str
) -> dict[int | str, int | str]:
    """A label of the data set -> what `labelled` reads it as, where the set names its labels
    (`ClassLabel`): their numbers need not be the task's.

    Raises:
        BenchError: some names are the task's labels in another order, and others are none.
    """
    features: dict[str, Any] = dataset.features  # type: ignore[attr-defined]
    names: list[str] = getattr(features.get(hub.columns.get("label", "")), "names", None) or []
    if hub.label_spellings:
        return dict(enumerate(names))
    if sorted(map(_number, names)) == list(range(len(task.labels))):
        return {n: _number(name) for n, name in enumerate(names)}
    found = places(task, names)
    if set(range(len(task.labels))) <= set(found):
        return {n: names[n] if to is None else to for n, to in enumerate(found)}
    if any(to not in (None, n) for n, to in enumerate(found)):
        raise BenchError(f"{where}: its labels are named {brief(names)}, not {brief(task.labels)}.")
    return {}


def _number(name: str) -> int:
    """The number that a name is ("1", "LABEL_1"); -1 for another name."""
    found = re.fullmatch(r"(?:LABEL_)?(\d{1,9})", name, re.IGNORECASE | re.ASCII)
    return int(found[1]) if found else -1
