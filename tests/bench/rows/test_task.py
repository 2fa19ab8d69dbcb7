"""What the hash of a task sees."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from bench.rows.task import Task, task_hash

SPAM = Task(
    name="spam",
    kind="classification",
    columns=("text",),
    prompt="Mail: {text}\nIs it spam? Answer:",
    metrics=("accuracy", "f1"),
    labels=("ham", "spam"),
    words=("no", "yes"),
)
ASKED = (
    r'["spam","classification",["text"],["ham","spam"],["no","yes"],'
    r'"Mail: {text}\nIs it spam? Answer:",["accuracy","f1"],"","",0,[]'
)


def test_a_first_version_is_not_in_the_hash_of_a_task() -> None:
    assert task_hash(SPAM) == hashlib.sha256(f"{ASKED}]".encode()).hexdigest()
    assert task_hash(SPAM) == "1335383e81d6eb31c94fbb84bd9e01bda6cda040fb3e95b3d0c9cf4af678f6fc"


def test_a_later_version_is() -> None:
    found = {task_hash(replace(SPAM, version=version)) for version in (1, 2, 3)}
    assert len(found) == 3
    assert hashlib.sha256(f"{ASKED},2]".encode()).hexdigest() in found
