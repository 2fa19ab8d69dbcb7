"""Rows that were answered long ago, found again by the hash of what they were read from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bench.core.errors import BenchError
from bench.core.hashing import digest
from bench.rows.prompting import by_letter
from bench.rows.source import source_of
from bench.rows.task import TASKS, Row, Task


class Asked(NamedTuple):
    """A row and the task that asks about it."""

    task: Task
    row: Row


class _Known(NamedTuple):
    """A task whose rows are at hand."""

    task: Task
    hash: str  # of its rows
    rows: list[Row]  # of the splits that were looked for


@dataclass
class Lookup:
    """The rows of `data`, a source or a folder as `--data` names it; each task is read once."""

    data: str
    _known: dict[tuple[str, bool], _Known | str] = field(default_factory=dict)

    def rows(
        self, tasks: Sequence[str], data_hash: str, letters: bool, training: bool = False
    ) -> dict[str, Asked] | str:
        """Each dev row of a task by its id, or of a sequence of tasks with the task's name in
        front; or why they are not at hand. `letters` is whether choices were made by letter,
        `training` whether training rows are wanted too: validation rows are some of them."""
        found, hashes = dict[str, Asked](), []
        for name in tasks:
            if (name, training) not in self._known:
                self._known[name, training] = self._read(name, training)
            known = self._known[name, training]
            if isinstance(known, str):
                return known
            by = letters and known.task.kind == "multiple_choice"
            task = by_letter(known.task) if by else known.task
            front = f"{name}-" if len(tasks) > 1 else ""
            found |= {f"{front}{row['id']}": Asked(task, row) for row in known.rows}
            hashes.append({"hash": known.hash})
        mine = hashes[0]["hash"] if len(tasks) == 1 else digest(hashes)
        return found if mine == data_hash else f"{self.data} has other rows"

    def _read(self, name: str, training: bool) -> _Known | str:
        """A task's rows, or why there are none."""
        if name not in TASKS.names():
            return f"the task {name} is not known here"
        task = TASKS.get(name)
        try:
            source = source_of(task, self.data)
            if not source.available(task):
                return f"{self.data} has no rows of {name}"
            splits = source.splits(task)[0 if training else 1 :]
            rows = [row for split in splits for row in source.rows(task, split)]
            return _Known(task, source.fingerprint(task), rows)
        except BenchError as error:
            return str(error)
