"""From the names that a person writes to tasks, as the recipe asks them, and what each forgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.cells.cell import THEN
from bench.cells.recipe import Training
from bench.core.errors import BenchError
from bench.planning.options import MIXED, Options
from bench.rows.prompting import by_letter, with_shots
from bench.rows.source import load_rows, source_named, source_of
from bench.rows.task import TASKS, Row, Task
from bench.scoring.metrics import is_lower

MIXED_1 = (
    "cola", "sst2", "mrpc", "qqp", "mnli", "qnli", "rte", "wnli", "stsb",
    "sst5", "gsm8k", "qasc", "dental", "psychol",
)  # fmt: skip
"""What a run of one task forgets by default: the others of these that the data holds, whatever
else is registered. Another list is another version, with another name."""


@dataclass(frozen=True)
class Asked:
    """The tasks of a run."""

    singles: tuple[Task, ...]
    sequences: tuple[tuple[Task, ...], ...]  # "cola>rte"
    forget: dict[str, tuple[Task, ...]]  # task -> its forgetting tasks
    retained: tuple[Task, ...]  # scored before and after, not learned
    tasks: dict[str, Task]  # all of these by name
    rows: dict[tuple[str, str, str], list[Row]]  # (task, data, split) -> rows
    notes: list[str]  # on forgetting tasks that are not what was asked for

    @property
    def learned(self) -> tuple[Task, ...]:
        """The tasks that are learned, each once."""
        groups = (self.singles, *self.sequences)
        return tuple({task.name: task for group in groups for task in group}.values())


Groups = tuple[tuple[Task, ...], tuple[tuple[Task, ...], ...]]
"""The single tasks, and the sequences of tasks."""


def asked(groups: Groups, options: Options, recipe: Training) -> Asked:
    """The tasks of `groups` and what they forget, as the options and the recipe ask them.

    Raises:
        BenchError: a forgetting task is unknown, rows are not there, more shots than rows.
    """
    singles, sequences = groups
    named = {task.name: task for group in (singles, *sequences) for task in group}
    forget, notes = _forget(options, tuple(named.values()))
    retained = [TASKS.get(name) for name in dict.fromkeys(options.retain_tasks)]
    groups_read = (named.values(), *forget.values(), retained)
    everything = {t.name: t for group in groups_read for t in group}
    tasks, rows = _read(everything, options.data, recipe)

    def of(group: Sequence[Task]) -> tuple[Task, ...]:
        return tuple(tasks[task.name] for task in group)

    found = Asked(
        singles=of(singles),
        sequences=tuple(map(of, sequences)),
        forget={name: of(group) for name, group in forget.items()},
        retained=of(retained),
        tasks=tasks,
        rows=rows,
        notes=notes,
    )
    notes += _foreign(options.data, found.learned, found.forget)
    return found


def groups_of(names: Sequence[str]) -> Groups:
    """The single tasks, and the sequences ("cola>rte").

    Raises:
        BenchError: an unknown name; in a sequence a name that is missing, a task that stands there
            twice, or whose score is no share.
    """
    groups: dict[tuple[str, ...], tuple[Task, ...]] = {}
    for name in names:
        parts = tuple(part.strip() for part in name.split(THEN))
        if not all(parts):
            raise BenchError(f"--tasks {name!r}: a name is missing beside the >, as in cola>rte.")
        if len(set(parts)) < len(parts):
            raise BenchError(f"--tasks {name!r}: a task may stand in a sequence only once.")
        groups[parts] = tasks = tuple(TASKS.get(part) for part in parts)
        for task in tasks if len(tasks) > 1 else ():
            if is_lower(task.primary):
                raise BenchError(
                    f"--tasks {name!r}: {task.name} is scored by {task.primary}, which is no share "
                    "and has no mean with other tasks' scores; leave it out of sequences."
                )
    singles = tuple(tasks[0] for tasks in groups.values() if len(tasks) == 1)
    return singles, tuple(tasks for tasks in groups.values() if len(tasks) > 1)


def _forget(
    options: Options, tasks: tuple[Task, ...]
) -> tuple[dict[str, tuple[Task, ...]], list[str]]:
    """Each task's forgetting tasks, and notes about those that are not what was asked for."""
    notes: list[str] = []
    others = tasks
    if len(tasks) == 1:
        suite = [TASKS.get(name) for name in MIXED_1]
        others = tuple(t for t in suite if source_of(t, options.data).available(t))
    mixed = {task.name: tuple(other for other in others if other != task) for task in tasks}
    if options.forget in ((), (MIXED,)):
        return mixed, notes
    named = tuple(TASKS.get(name) for name in dict.fromkeys(options.forget))
    chosen: dict[str, tuple[Task, ...]] = {}
    for task in tasks:
        apart = source_of(task, options.data).prompt_split(task) != "train"
        chosen[task.name] = tuple(other for other in named if other != task or apart)
        if not chosen[task.name]:
            chosen[task.name] = mixed[task.name]
            names = ", ".join(other.name for other in mixed[task.name])
            notes.append(f"{task.name} cannot be its own forgetting task; it forgets {names}")
        elif task in chosen[task.name]:
            notes.append(
                f"{task.name} is its own forgetting task, by rows set apart for that, whose right "
                "answers finetune never sees"
            )
    return chosen, notes


def _foreign(
    data: str, learned: Sequence[Task], forget: Mapping[str, tuple[Task, ...]]
) -> list[str]:
    """What to note of a run of a reader's own tasks, whose data are named after their files."""
    others = [task for group in forget.values() for task in group if not task.files]
    if not others or not all(task.files for task in learned):
        return []
    return [f"the forgetting tasks' rows are of {source_named(data).place(others[0])}"]


def _read(
    tasks: dict[str, Task], data: str, recipe: Training
) -> tuple[dict[str, Task], dict[tuple[str, str, str], list[Row]]]:
    """The tasks as the recipe asks them, and the rows of their splits without those that a prompt
    shows.

    Raises:
        BenchError: as `load_rows`; more shots than rows.
    """
    asked: dict[str, Task] = {}
    rows = {
        (name, data, split): load_rows(task, data, split)
        for name, task in tasks.items()
        for split in source_of(task, data).splits(task)
    }
    for name, task in tasks.items():
        if task.kind == "multiple_choice" and recipe.choices == "letter":
            task = by_letter(task)
        train = rows[name, data, "train"]
        if recipe.shots >= len(train):
            raise BenchError(f"train.shots {recipe.shots}: {name} has {len(train)} training rows.")
        if recipe.shots and task.kind != "text":
            task, rows[name, data, "train"] = with_shots(task, train, recipe.shots)
        asked[name] = task
    return asked, rows
