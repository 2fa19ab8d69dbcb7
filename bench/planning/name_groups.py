"""Words for several methods or tasks: `all`, a suite such as `glue`; and `-bss` leaves one out."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

from bench.cells.cell import THEN
from bench.core.errors import BenchError, unknown_name
from bench.planning.options import Options
from bench.rows.source import source_of
from bench.rows.task import TASKS
from bench.training.method import METHODS

ALL = "all"

T = TypeVar("T", bound=Hashable)


def spelled_out(options: Options) -> tuple[Options, list[str]]:
    """The options with every method and task by its own name, and notes about those of a group
    that the data does not hold.

    Raises:
        BenchError: an unknown task; what is to be left out is not there; the data holds no task of
            a group.
    """
    groups, notes = task_groups(options.tasks), []
    for group in groups.keys() & set(options.tasks):
        held = [name for name in groups[group] if _is_held(name, options.data)]
        if not held:
            raise BenchError(f"--tasks {group}: {options.data} holds none of its tasks.")
        if missing := [name for name in groups[group] if name not in held]:
            notes.append(f"{group} without {', '.join(missing)}: not in {options.data}")
        groups[group] = held
    return dataclasses.replace(
        options,
        methods=_expanded(options.methods, {ALL: METHODS.names()}, "--methods"),
        tasks=_expanded(options.tasks, groups, "--tasks"),
    ), sorted(notes)


def task_groups(words: Sequence[str]) -> dict[str, list[str]]:
    """The words that stand for several tasks, and these.

    Raises:
        BenchError: one of `words` is neither a task nor such a word.
    """
    groups: dict[str, list[str]] = {ALL: TASKS.names()}
    for name in TASKS.names():
        if (classic := TASKS.get(name).classic) is not None:
            groups.setdefault(classic.group, []).append(name)
    known = {*groups, *TASKS.names()}
    for word in words:
        if THEN not in word and not word.startswith("-") and word not in known:
            raise unknown_name("task", word, known)
    return groups


def _is_held(name: str, data: str) -> bool:
    task = TASKS.get(name)
    return source_of(task, data).available(task)


def _expanded(
    words: Sequence[T | str], groups: Mapping[str, Sequence[str]], option: str
) -> tuple[T | str, ...]:
    """The names that the words stand for, each once; `-NAME` takes one of those before it away."""
    found: dict[T | str, None] = {}
    for word in words:
        if isinstance(word, str) and word.startswith("-"):
            if word[1:] not in found:
                raise unknown_name(f"name to leave out of {option}", word[1:], map(str, found))
            del found[word[1:]]
        else:
            names = groups.get(word, [word]) if isinstance(word, str) else [word]
            found.update(dict.fromkeys(names))
    return tuple(found)
