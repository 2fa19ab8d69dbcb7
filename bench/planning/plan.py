"""From what was asked for to a RunSpec that can run, or one clear line why it cannot."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cells.cell import (
    REFERENCE,
    Besides,
    DataSource,
    ForgetSpec,
    MethodSpec,
    ModelInfo,
    RetentionSpec,
    TaskSpec,
)
from bench.cells.grid import RefusalKey, RunSpec
from bench.cells.recipe import BEST_ON_DEV, BEST_ON_VALIDATION, Training
from bench.cells.weights import bound_of
from bench.core.errors import BenchError, RefusedError
from bench.core.hashing import digest
from bench.core.launcher import check_launcher
from bench.core.memory import Footprint
from bench.core.settings import parse
from bench.planning.compatibility import head_notes, in_words, refusals
from bench.planning.method_names import chosen
from bench.planning.model_info import default_rate, describe
from bench.planning.name_groups import spelled_out
from bench.planning.options import MIXED, Options
from bench.planning.task_names import asked, groups_of
from bench.planning.tuning import SEED, VALIDATED, Tuning, tuning_of
from bench.rows.files import read_bytes
from bench.rows.material import Material
from bench.rows.portions import VALIDATION, check, portions
from bench.rows.source import places, source_named, source_of
from bench.rows.task import Task, task_hash
from bench.scoring import lm_eval
from bench.scoring.glue_server import SHEETS, test_rows

if TYPE_CHECKING:
    from bench.training.method import Method, Need


@dataclass(frozen=True)
class Plan:
    """A spec that passed every check, with the material that its cells need."""

    spec: RunSpec
    material: Material
    notes: tuple[str, ...]  # what a reader of the plan should know
    submission: bool = False  # whether GLUE's test rows are answered too
    keep_bytes: float = 0.0  # of tuned weights in the run's folder
    tracker: str | None = None  # whom curves and scores are told, too
    tuning: Tuning | None = None  # the search that each method gets first
    device: str = ""  # what computes, in words
    on_disk: bool = False  # whether θ0 is read from a file, tensor by tensor


@dataclass(frozen=True)
class Forecast:
    """What the cells of one method will take."""

    method: str
    cells: int
    seconds: float | None  # one after the other; None: nothing like them was measured
    memory_mib: float | None  # the most of any
    time_by: str  # how sure the time is: that of the least sure cell
    memory_by: str
    footprint: Footprint | None = None  # of that cell, by arithmetic


def make_plan(options: Options, weightless: bool = False, cut: bool = False) -> Plan:
    """Check everything that can be checked without loading a model; a `weightless` plan is not to
    run, and its models may be folders without weights. Weights may be `cut` over processes,
    and are where accelerate's launcher says so.

    Raises:
        BenchError: a name, a value, a file or a combination that cannot work.
    """
    launched = check_launcher()
    cut = cut or bool(launched)
    if cut and options.theta0 == "disk":
        raise BenchError("--theta0 disk: not with --use_fsdp, which cuts θ0 over the processes.")
    options, left_out = spelled_out(options)
    if not options.methods or not options.tasks:
        raise BenchError("name at least one method and one task: --methods lwf --tasks cola")
    methods, groups = _methods(options), groups_of(options.tasks)
    models = _models(options, weightless)
    training = tuple(_training(options, model) for model in models)
    lm_eval.check(options.lm_eval)
    _check_tracker(options.tracker)
    found, data = asked(groups, options, training[0]), options.data
    hashes = {name: source_of(task, data).fingerprint(task) for name, task in found.tasks.items()}
    retention, text = _retention(options.retention, data)
    material = Material(found.tasks, found.rows, hashes, text)

    def specs(group: Sequence[Task]) -> tuple[TaskSpec, ...]:
        return tuple(_task_spec(task, material, data) for task in group)

    spec = RunSpec(
        methods=tuple(map(_as_data, methods)),
        tasks=specs(found.singles),
        sequences=tuple(map(specs, found.sequences)),
        models=models,
        data=DataSource(data, _name(places(found.learned, data))),
        training=training,
        forget={
            name: _forget_spec(group, hashes, options.forget in ((), (MIXED,)))
            for name, group in found.forget.items()
        },
        retention=retention,
        seeds=tuple(range(options.first_seed, options.first_seed + options.seeds)),
        steps={
            task.name: training[0].total_steps(_learned(task, material, data, training[0]))
            for task in found.learned
        },
        refused=refusals(
            methods,
            list(zip(models, training, strict=True)),
            [*((task,) for task in found.singles), *found.sequences],
            found.forget,
            _has(text, data),
            options.lm_eval,
            cut,
        ),
        besides=Besides(
            lm_eval=tuple(dict.fromkeys(options.lm_eval)),
            retain_tasks=specs(found.retained),
            path=options.path or 0,
        ),
    )
    _check_rest(options, spec, found.singles)
    # no encoder is asked a forgetting task
    on_forgetting = found.notes if any(model.generates for model in models) else []
    notes = (*launched, *left_out, *on_forgetting, *head_notes(models, found.learned))
    tuning = _tuning(options, methods, spec)
    if tuning and "validation" not in options.settings.get("train", {}):
        notes = (
            *notes,
            f"trials are scored on {VALIDATED:.0%} of the training rows (--validation)",
        )
    keep = bound_of(options.keep_weights)
    return Plan(spec, material, notes, options.submission, keep, options.tracker, tuning)


def also_refused(plan: Plan, options: Options, found: Mapping[RefusalKey, str]) -> Plan:
    """The plan, with more cells that cannot run.

    Raises:
        RefusedError: nothing that was asked for is left.
    """
    spec = replace(plan.spec, refused={**found, **plan.spec.refused})
    tasks = [plan.material.tasks[task.name] for task in spec.tasks]
    _check_rest(options, spec, tasks)
    return replace(plan, spec=spec)


def _tuning(options: Options, methods: Sequence[Method], spec: RunSpec) -> Tuning | None:
    """Raises BenchError where what is asked of the search cannot be."""
    if options.tune is None:
        if options.search:
            raise BenchError(f"--search {','.join(options.search)}: say how often, as in --tune 8.")
        return None
    if SEED in spec.seeds:
        raise BenchError(f"seed {SEED} is that of trials, and cannot be reported: --first-seed.")
    return tuning_of(methods, options.tune, options.tune_share, options.search, options.settings)


def _has(text: str | None, data: str) -> set[Need]:
    """What of the run's material not every run has."""
    found: set[Need] = {"text"} if text is not None else set()
    return found | {"truth"} if source_named(data).truth() else found


def _check_tracker(tracker: str | None) -> None:
    """Raises BenchError where its package, which is called like it, is not installed."""
    if tracker and importlib.util.find_spec(tracker) is None:
        raise BenchError(f"--tracker {tracker} needs its package: pip install {tracker}")


def _retention(path: str | None, data: str) -> tuple[RetentionSpec, str | None]:
    """The text of a file, that of the source, or none.

    Raises:
        BenchError: the file is missing, empty or not UTF-8.
    """
    if path is None:
        own = source_named(data).retention_text()
        return _named(f"{data} retention text", own) if own else (RetentionSpec(None, None), None)
    try:
        text = read_bytes(Path(path)).decode()
    except UnicodeDecodeError as error:
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


def _forget_spec(tasks: Sequence[Task], hashes: dict[str, str], mixed: bool) -> ForgetSpec:
    later = {task.name: task.version for task in tasks if task.version != 1}
    rows = [hashes[task.name] for task in tasks]
    return ForgetSpec(tuple(t.name for t in tasks), digest([rows, later] if later else rows), mixed)


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


def _models(options: Options, weightless: bool) -> tuple[ModelInfo, ...]:
    """Raises BenchError where two have one name, by which boards and refusals tell them apart."""
    models = tuple(
        describe(name, options.kind, options.trust_remote_code, weightless)
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


def _training(options: Options, model: ModelInfo) -> Training:
    """Raises BenchError for a part of the recipe that there is not, or that cannot be."""
    given = options.settings.get("train", {})
    if options.tune is not None:
        given = {"validation": VALIDATED, **given}
    recipe = parse(Training, {"lr": default_rate(model), **given}, "train")
    wanted = recipe.validation
    if wanted is not None and wanted > 1 and not wanted.is_integer():
        raise BenchError(f"--validation {wanted:g} is neither a share below 1 nor a whole number.")
    if recipe.select == BEST_ON_VALIDATION and wanted is None:
        raise BenchError(f"--select {recipe.select}: say which rows, as in --validation 0.1.")
    if recipe.select == BEST_ON_DEV and (recipe.score == VALIDATION or options.tune is not None):
        raise BenchError(
            f"--select {recipe.select} looks at dev, and settings are chosen without: take "
            f"{BEST_ON_VALIDATION}."
        )
    if recipe.score == VALIDATION and wanted is None:
        raise BenchError("--score validation: say which rows, as in --validation 0.1.")
    return recipe


def _learned(task: Task, material: Material, data: str, recipe: Training) -> int:
    """How many training rows are learned of a task.

    Raises:
        BenchError: so many validation rows cannot be split off.
    """
    rows, wanted = material.rows[task.name, data, "train"], recipe.validation
    found = portions(rows, task, recipe.max_train, wanted)
    if wanted is not None:
        check(found, task, wanted)
    return len(found.learned)


def _check_rest(options: Options, spec: RunSpec, tasks: Sequence[Task]) -> None:
    """Raises BenchError where nothing that was asked for is left (the reference is beside it), or
    nothing that GLUE's server takes."""
    unasked = not options.no_reference and REFERENCE not in options.methods
    left = [cell for cell in spec.cells() if not (unasked and cell.label == REFERENCE)]
    if spec.refused and not left:
        lines = "; ".join(in_words(spec.refused))
        raise RefusedError(f"nothing is left to run. {lines}.", spec.refused.values())
    choosing = any(recipe.score == VALIDATION for recipe in spec.training)
    besides = {
        "--lm-eval": spec.besides.lm_eval,
        "--retain-tasks": spec.besides.retain_tasks,
        "--eval-every": any(one.eval_every and one.select == "last" for one in spec.training),
    }
    for option in (name for name, given in besides.items() if given and choosing):
        raise BenchError(f"--score validation: nothing that is reported is scored; leave {option}.")
    if options.submission and not any(test_rows(task, options.data) for task in tasks):
        raise BenchError(f"--submission: the server takes {', '.join(SHEETS)}, not what is asked.")
