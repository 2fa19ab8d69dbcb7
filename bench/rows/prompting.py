"""Other ways to ask: a task made into another one, before a run knows of it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from bench.rows.task import Row, Task

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def by_letter(task: Task) -> Task:
    """A multiple-choice task whose prompt lists the choices; a letter is to be written."""
    letters = tuple(LETTERS[: len(task.labels)])
    question, _, answer = task.prompt.rpartition("\n")
    listed = [f"{letter}. {{{name}}}" for letter, name in zip(letters, task.labels, strict=True)]
    return replace(
        task,
        kind="generation",
        columns=(*task.columns, *task.labels),
        words=letters,
        prompt="\n".join([question, *listed, answer]),
        metrics=("accuracy",),
        extract=rf"\b([{letters[0]}-{letters[-1]}])\b",
        max_new_tokens=8,
    )


def with_shots(task: Task, rows: Sequence[Row], shots: int) -> tuple[Task, list[Row]]:
    """A task whose prompt begins with so many answered rows, and the rows that are left.

    The rows are drawn by the task's name alone: the same for every method and seed.
    """
    chosen = random.Random(f"{task.name}:shots").sample(range(len(rows)), shots)
    solved = "".join(
        f"{task.prompt.format(**rows[i])} {task.answers(rows[i])[task.gold(rows[i])]}\n\n"
        for i in chosen
    )
    escaped = solved.replace("{", "{{").replace("}", "}}")
    taken = set(chosen)
    rest = [row for i, row in enumerate(rows) if i not in taken]
    return replace(task, prompt=escaped + task.prompt), rest
