"""What cells name and do not carry: tasks, their rows, the retention text."""

from __future__ import annotations

from dataclasses import dataclass

from bench.rows.task import Row, Task


@dataclass(frozen=True)
class Material:
    """What the cells of a plan share; a cell of it is a few names and hashes."""

    tasks: dict[str, Task]  # by name, as the recipe asks them: with shots, by letter
    rows: dict[tuple[str, str, str], list[Row]]  # (task, data, split) -> rows
    hashes: dict[str, str]  # task -> hash of its rows
    retention: str | None  # the retention text; None: sampled from the base model
