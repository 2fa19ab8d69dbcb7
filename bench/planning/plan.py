"""From what was asked for to a RunSpec that can run, or one clear line why it cannot."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cells.cell import (
    REFERENCE,
    THEN,
    DataSource,
    ForgetSpec,
    MethodSpec,
    ModelInfo,
    RetentionSpec,
    TaskSpec,
    Training,
)
from bench.cells.grid import RunSpec
from bench.cells.weights import bound_of
from bench.core.errors import BenchError, RefusedError
from bench.core.hashing import digest
from bench.core.settings import parse
from bench.planning.compatibility import head_notes, in_words, refusals
from bench.planning.method_names import chosen
from bench.planning.model_info import default_rate, describe
from bench.planning.name_groups import spelled_out
from bench.planning.options import MIXED, Options
from bench.rows.material import Material
from bench.rows.prompting import by_letter, with_shots
from bench.rows.source import load_rows, places, source_named, source_of
from bench.rows.task import TASKS, Row, Task, task_hash
from bench.scoring import lm_eval
from bench.scoring.glue_server import SHEETS, test_rows
from bench.scoring.metrics import is_lower

if TYPE_CHECKING:
    from bench.training.method import Method


MIXED_1 = (
    "cola", "sst2", "mrpc", "qqp", "mnli", "qnli", "rte", "wnli", "stsb",
    "sst5", "gsm8k", "qasc", "dental", "psychol",
)  # fmt: skip
"""What a run of one task forgets by default: the others of these that the data holds, whatever
else is registered. Another list is another version, with another name."""


@dataclass(frozen=True)
class Plan:
    """A spec that passed every check, with the material that its cells need."""

    spec: RunSpec
    material: Material
    notes: tuple[str, ...]  # what a reader of the plan should know
    submission: bool = False  # whether GLUE's test rows are answered too
    keep_bytes: float = 0.0  # of tuned weights in the run's folder


def make_plan(options: Options) -> Plan:
    """Check everything that can be checked without loading a model.

    Raises:
        BenchError: a name, a value, a file or a combination that cannot work.
    """
    if options.seeds < 1:
        raise BenchError(f"--seeds {options.seeds}: at least 1 seed is needed.")
    options, left_out = spelled_out(options)
    if not options.methods or not options.tasks:
        raise BenchError("name at least one method and one task: --methods lwf --tasks cola")
    methods = _methods(options)
    tasks, sequences = _tasks(options.tasks)
    learned = tuple({t.name: t for group in (tasks, *sequences) for t in group}.values())
    forget, notes = _forget(options, learned)
    models = _models(options)
    training = tuple(_training(options, model) for model in models)
    lm_eval.check(options.lm_eval)
    everything = {t.name: t for group in (learned, *forget.values()) for t in group}
    asked, rows = _read(everything, options.data, training[0])
    learned, tasks = (tuple(asked[t.name] for t in group) for group in (learned, tasks))
    sequences = tuple(tuple(asked[t.name] for t in group) for group in sequences)
    forget = {name: tuple(asked[t.name] for t in group) for name, group in forget.items()}
    hashes = {n: source_of(t, options.data).fingerprint(t) for n, t in asked.items()}
    notes += _foreign(options.data, learned, forget)
    if not any(model.generates for model in models):
        notes = []  # they are of forgetting tasks, which no encoder is asked
    notes += head_notes(models, learned)
    retention, text = _retention(options.retention, options.data)
    material = Material(asked, rows, hashes, text)
    steps = {
        t.name: training[0].total_steps(len(rows[t.name, options.data, "train"])) for t in learned
    }
    spec = RunSpec(
        methods=tuple(map(_as_data, methods)),
        tasks=tuple(_task_spec(task, material, options.data) for task in tasks),
        sequences=tuple(
            tuple(_task_spec(task, material, options.data) for task in group) for group in sequences
        ),
        models=models,
        data=DataSource(options.data, _name(places(learned, options.data))),
        training=training,
        forget={name: _forget_spec(group, hashes) for name, group in forget.items()},
        retention=retention,
        seeds=tuple(range(options.first_seed, options.first_seed + options.seeds)),
        steps=steps,
        refused=refusals(
            methods,
            list(zip(models, training, strict=True)),
            [*((task,) for task in tasks), *sequences],
            forget,
            text is not None,
            options.lm_eval,
        ),
        lm_eval=tuple(dict.fromkeys(options.lm_eval)),
    )
    _check_rest(options, spec, tasks)
    notes = [*left_out, *notes]
    return Plan(spec, material, tuple(notes), options.submission, bound_of(options.keep_weights))


def _retention(path: str | None, data: str) -> tuple[RetentionSpec, str | None]:
    """The text of a file, that of the source, or none.

    Raises:
        BenchError: the file is missing, empty or not UTF-8.
    """
    if path is None:
        own = source_named(data).retention_text()
        return _named(f"{data} retention text", own) if own else (RetentionSpec(None, None), None)
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BenchError(f"retention text {path} cannot be read: {error}.") from None
    if not text.strip():
        raise BenchError(f"retention text {path} is empty.")
    return _named(Path(path).name, text)


def _named(name: str, text: str) -> tuple[RetentionSpec, str]:
    return RetentionSpec(name, hashlib.sha256(text.encode()).hexdigest()), text


def _task_spec(task: Task, material: Material, data: str) -> TaskSpec:
    generated = source_of(task, data).generated
    note = None if generated else task.note
    return TaskSpec(task.name, task_hash(task), material.hashes[task.name], note, generated)


def _forget_spec(tasks: Sequence[Task], hashes: dict[str, str]) -> ForgetSpec:
    later = {task.name: task.version for task in tasks if task.version != 1}
    rows = [hashes[task.name] for task in tasks]
    return ForgetSpec(tuple(t.name for t in tasks), digest([rows, later] if later else rows))


def _as_data(method: Method) -> MethodSpec:
    """Its spec; one that cannot say what it needs is refused, and for that it has a name."""
    try:
        return method.spec
    except Exception:
        return MethodSpec(method.name, method.settings, method.label)


def _methods(options: Options) -> tuple[Method, ...]:
    names = list(options.methods)
    if not options.no_reference:
        names = [REFERENCE, *(name for name in names if name != REFERENCE)]
    return chosen(names, options.settings)


def _tasks(names: Sequence[str]) -> tuple[tuple[Task, ...], tuple[tuple[Task, ...], ...]]:
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


def _models(options: Options) -> tuple[ModelInfo, ...]:
    """Raises BenchError where two have one name, by which boards and refusals tell them apart."""
    models = tuple(
        describe(name, options.kind, options.trust_remote_code)
        for name in dict.fromkeys(options.model)
    )
    for name in (model.name for model in models):
        alike = [model.source for model in models if model.name == name]
        if len(alike) > 1:
            both = " and ".join(alike)
            raise BenchError(f"{both} are both called {name!r}: rename one, --model NAME=PATH.")
    return models


def _name(places: Sequence[str]) -> str:
    """Places for display: of a folder the last part of its path."""
    return ", ".join(place.rstrip("/").rsplit("/", 1)[-1] for place in places)


def _foreign(
    data: str, learned: Sequence[Task], forget: Mapping[str, tuple[Task, ...]]
) -> list[str]:
    """What to note of a run of a reader's own tasks, whose data are named after their files."""
    others = [task for group in forget.values() for task in group if not task.files]
    if not others or not all(task.files for task in learned):
        return []
    return [f"the forgetting tasks' rows are of {source_named(data).place(others[0])}"]


def _training(options: Options, model: ModelInfo) -> Training:
    given = options.settings.get("train", {})
    return parse(Training, {"lr": default_rate(model), **given}, "train")


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
        chosen[task.name] = tuple(other for other in named if other != task)
        if not chosen[task.name]:
            chosen[task.name] = mixed[task.name]
            names = ", ".join(other.name for other in mixed[task.name])
            notes.append(f"{task.name} cannot be its own forgetting task; it forgets {names}")
    return chosen, notes


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


def _check_rest(options: Options, spec: RunSpec, tasks: Sequence[Task]) -> None:
    """Raises BenchError where nothing that was asked for is left (the reference is beside it), or
    nothing that GLUE's server takes."""
    unasked = not options.no_reference and REFERENCE not in options.methods
    left = [cell for cell in spec.cells() if not (unasked and cell.label == REFERENCE)]
    if spec.refused and not left:
        lines = "; ".join(in_words(spec.refused))
        raise RefusedError(f"nothing is left to run. {lines}.", spec.refused.values())
    if options.submission and not any(test_rows(task, options.data) for task in tasks):
        raise BenchError(f"--submission: the server takes {', '.join(SHEETS)}, not what is asked.")
