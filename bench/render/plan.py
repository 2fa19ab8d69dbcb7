"""A plan in words: what will run, from what, and where it goes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from bench.cells.cell import THEN, AnyCell, TaskSpec
from bench.cells.grid import RunSpec
from bench.core.durations import clock
from bench.core.settings import changed, spelled, typed
from bench.planning.compatibility import in_words
from bench.planning.plan import Forecast, Plan
from bench.planning.tuning import SEED
from bench.render.layout import WIDTH, table, wrap
from bench.render.memory import memory_lines
from bench.render.section import Column
from bench.rows.portions import VALIDATION, portions
from bench.rows.source import places

_NAMED = 6  # cells that are named, of those that are left


def plan_text(
    plan: Plan,
    folder: Path,
    done: int,
    todo: int,
    why: Sequence[str] = (),
    failed: int = 0,
    errors: Sequence[str] = (),
    scored: int = 0,
    width: int = WIDTH,
) -> str:
    """The plan of a run, for the terminal; `why` says it of the cells to run, of which `scored` are
    trained, `errors` of those that failed before and are not run again. The folder's path stays
    whole, to be copied."""
    spec = plan.spec
    counts = (
        (len(spec.methods), "method"),
        (len(spec.tasks) + len(spec.sequences), "task"),
        (len(spec.models), "model"),
        (len(spec.seeds), "seed"),
    )
    product = " x ".join(f"{n} {name}{'s' * (n > 1)}" for n, name in counts)
    methods = ", ".join(method.label for method in spec.methods)
    models = ", ".join(f"{model.name} ({model.kind})" for model in spec.models)
    learned = {task.name: task for group in (spec.tasks, *spec.sequences) for task in group}
    own = [plan.material.tasks[name] for name in learned]
    sequences = [THEN.join(task.name for task in group) for group in spec.sequences]
    recipes = dict.fromkeys(_recipe(training) for training in spec.training)
    refused = len(spec.refused) * len(spec.seeds)
    counted = f"{refused} refused, " if refused else ""
    told: list[tuple[str, Sequence[str]]] = [
        ("methods", [methods]),
        ("model", [models]),
        ("data", [", ".join(places(own, spec.data.source))]),
        ("task", [_task(plan, task) for task in learned.values()]),
        ("sequence", sequences),
        ("training", list(recipes)),
        ("retention", _retention(spec)),
        ("search", _search(plan)),
        ("retain", _named([task.name for task in spec.besides.retain_tasks])),
        ("lm-eval", _named(spec.besides.lm_eval)),
        ("seeds", [", ".join(map(str, spec.seeds))]),
        ("device", [plan.device] if plan.device else []),
        ("results", [str(folder)]),
        ("to run", why),
        ("failed", [*errors, "--retry failed runs them again"] if failed else []),
        ("refused", in_words(spec.refused)),
        ("note", plan.notes),
    ]
    whole = math.prod(n for n, _ in counts)
    trials = whole // len(spec.seeds) - len(spec.refused)
    before = f" and {plan.tuning.trials * trials} trials before them" if plan.tuning else ""
    counted += f"{failed} failed before, " if failed else ""
    counted += f"{done} done, " + (f"{scored} only to score, " if scored else "")
    cells = f"{whole} cells{before}, {counted}{todo - scored} to run"
    lines = [wrap(f"plan: {product} = {cells}", width, "  ")]
    for name, texts in told:
        for number, text in enumerate(texts):
            line = f"  {'' if number else name:<10} {text}"
            lines.append(line if name == "results" else wrap(line, width, " " * 13))
    return "\n".join(lines) + "\n"


def forecast_text(
    found: Sequence[Forecast], workers: int, beyond: Sequence[str] = (), width: int = WIDTH
) -> str:
    """What a plan will take: a line for each method, the whole, what of memory is for what, and
    why there is none for what is `beyond` it."""
    if not found:
        return "nothing is to run"
    headings = ("method", 24), ("cells", 0), ("time", 0), ("by", 16), ("MiB", 0), ("by", 16)
    columns = [Column(name, words=most, left=most > 0) for name, most in headings]
    rows = [
        (
            one.method,
            str(one.cells),
            "?" if one.seconds is None else clock(one.seconds),
            one.time_by,
            "?" if one.memory_mib is None else f"{one.memory_mib:.0f}",
            one.memory_by,
        )
        for one in found
    ]
    known = [one.seconds for one in found if one.seconds is not None]
    cells, more = sum(one.cells for one in found), "" if len(known) == len(found) else "more than "
    said = f"estimate: {cells} cells, {more}{clock(sum(known))} one after the other"
    if workers > 1 and known:
        said += f", about {clock(sum(known) / workers)} with --jobs {workers}"
    if not known:
        said = "estimate: time unknown, for no cell like these was run; --probe tries a few steps"
    lines = [wrap(said, width, "  "), "", *table(columns, rows, width)[0]]
    lines += memory_lines(found, width)
    lines += [wrap(f"no room: {line}", width, "  ") for line in beyond]
    return "\n".join(lines)


def left_text(left: Sequence[AnyCell], cells: int, stopped: int, width: int = WIDTH) -> str:
    """What a time limit left of so many cells, and how to go on; `stopped` of them have a
    checkpoint."""
    begun = f", {stopped} of them with a checkpoint" if stopped else ""
    names = ", ".join(map(str, left[:_NAMED]))
    more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
    said = f"the time is up: {len(left)} of {cells} cells are left{begun}: {names}{more}. "
    return wrap(f"{said}The same command goes on from here.", width, "  ")


def _named(names: Sequence[str]) -> list[str]:
    return [", ".join(names)] if names else []


def _recipe(training: object) -> str:
    lr, batch = getattr(training, "lr"), getattr(training, "batch_size")  # noqa: B009
    other = {k: v for k, v in changed(training).items() if k not in ("lr", "batch_size", "steps")}
    words = [f"learning rate {lr:g}", f"batches of {batch}"]
    return ", ".join(words + [f"{name} {typed(value)}" for name, value in other.items()])


def _task(plan: Plan, task: TaskSpec) -> str:
    spec = plan.spec
    train, dev = (plan.material.rows[task.name, spec.data.source, s] for s in ("train", "dev"))
    used = spec.training[0]
    scored = 0 if used.score == VALIDATION else min(len(dev), used.max_eval or len(dev))
    own = plan.material.tasks[task.name]
    found = portions(train, own, used.max_train, used.validation)
    counts = [(len(found.learned), "train"), (len(found.validation), VALIDATION), (scored, "dev")]
    rows = ", ".join(f"{count} {name} rows" for count, name in counts if count)
    text = f"{task.name}: {rows}, {spec.steps[task.name]} steps"
    if not any(model.generates for model in spec.models):
        return text  # an encoder's head has one task, and no other is asked
    return f"{text}; forgetting task {', '.join(spec.forget[task.name].tasks) or 'nothing'}"


def _search(plan: Plan) -> list[str]:
    """How settings are chosen, and over which spaces."""
    tuning = plan.tuning
    if tuning is None:
        return []
    part = "all" if tuning.share == 1 else f"{tuning.share:.0%}"
    counted = f"{tuning.trials} trials of each method and task, with seed {SEED} and {part} steps"
    missing = len(plan.spec.searched) * len(plan.spec.seeds)
    later = f"; {missing} cells wait for what they show" if missing else ""
    spaces = [
        f"{label}: {', '.join(f'{one.name} {spelled(one.space)}' for one in dimensions)}"
        for label, dimensions in tuning.dimensions.items()
    ]
    return [f"{counted}, on validation rows{later}", *spaces]


def _retention(spec: RunSpec) -> list[str]:
    """The text that is scored; none where no model reads one."""
    if any(model.generates for model in spec.models):
        return [spec.retention.name or "text sampled from the base model"]
    reads = any(model.predicts_words for model in spec.models)
    return [spec.retention.name] if spec.retention.name and reads else []
