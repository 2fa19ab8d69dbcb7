"""Which rows of a task's training set are learned, and which are kept to choose settings on.

Rows are known by what is asked in them, never by their place: every method and seed keeps the same
ones, and rows that ask the same are on one side.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from bench.core.errors import BenchError
from bench.core.hashing import digest
from bench.rows.task import Row, Task

VALIDATION = "validation"
"""The rows that settings and checkpoints are chosen on, as a split."""


def subset(rows: Sequence[Row], limit: int | None, task: str) -> list[Row]:
    """`limit` rows, the same for every method and seed; all of them in order if None."""
    if limit is None or limit >= len(rows):
        return list(rows)
    chosen = random.Random(f"{task}:subset").sample(range(len(rows)), limit)
    return [rows[i] for i in sorted(chosen)]


class Portions(NamedTuple):
    """A task's training rows, divided."""

    learned: list[Row]
    validation: list[Row]  # none where none are asked for
    others: list[Row]  # for who reads them to forget: all that ask nothing that is validated on


def portions(rows: list[Row], task: Task, limit: int | None, validation: float | None) -> Portions:
    """`limit` training rows, of which `validation` are split off."""
    used = subset(rows, limit, task.name)
    if validation is None:
        return Portions(used, [], rows)
    learned, taken = split_off(used, task, validation)
    known = {content(row, task) for row in taken}
    return Portions(learned, taken, [row for row in rows if content(row, task) not in known])


def split_off(rows: Sequence[Row], task: Task, wanted: float) -> tuple[list[Row], list[Row]]:
    """The rows to learn and those to validate on, both in order: of the latter a share (`wanted`
    below 1) or so many, from each class as many as it has among all rows.

    Within a class those are taken first whose content's hash is least. Rows that ask the same are
    taken together, or left where there are more of them than are still wanted.
    """
    groups: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        groups.setdefault(content(row, task), []).append(place)
    classes: dict[str, list[list[int]]] = {}
    for _, places in sorted(groups.items()):
        name = min(_class_of(rows[place], task) for place in places)
        classes.setdefault(name, []).append(places)
    total = round(wanted * len(rows)) if wanted < 1 else round(wanted)
    sizes = {name: sum(map(len, found)) for name, found in classes.items()}
    taken: set[int] = set()
    for name, quota in _quotas(sizes, min(total, len(rows))).items():
        for places in classes[name]:
            if len(places) <= quota:
                quota -= len(places)
                taken.update(places)
    kept = [row for place, row in enumerate(rows) if place not in taken]
    return kept, [rows[place] for place in sorted(taken)]


def check(found: Portions, task: Task, wanted: float) -> None:
    """Raises BenchError where a side has no rows, or none of a class that the other has."""
    kept, taken, _ = found
    option = f"--validation {wanted:g}"
    for rows, others, side in ((taken, kept, "validation"), (kept, taken, "training")):
        if not rows:
            raise BenchError(f"{option}: {task.name} would have no {side} rows.")
        there = {_class_of(row, task) for row in rows}
        if missing := sorted({_class_of(row, task) for row in others} - there):
            names = ", ".join(missing)
            raise BenchError(
                f"{option}: no {side} row of {task.name} would be of class {names} "
                f"({len(taken)} of {len(kept) + len(taken)} rows are for validation)."
            )


def content(row: Row, task: Task) -> str:
    """The hash of what is asked in a row; of a text that is predicted whole, of the text."""
    asked = (*task.columns, *(task.labels if task.kind == "multiple_choice" else ()))
    return digest([row[column] for column in asked or (task.target,)])


def _class_of(row: Row, task: Task) -> str:
    """The label of a row where labels are classes; one class of all rows elsewhere."""
    return task.labels[row["label"]] if task.kind == "classification" else ""


def _quotas(sizes: dict[str, int], total: int) -> dict[str, int]:
    """`total` in proportion to `sizes`, the largest remainders rounded up (by name where equal)."""
    whole = sum(sizes.values())
    found = {name: total * size // whole for name, size in sizes.items()}
    by_remainder = sorted(sizes, key=lambda name: (-(total * sizes[name] % whole), name))
    for name in by_remainder[: total - sum(found.values())]:
        found[name] += 1
    return found
