"""A plan in words: what will run, from what, and where it goes."""

from __future__ import annotations

from pathlib import Path

from bench.plan import Plan
from bench.settings import changed
from tasks.base import Task
from tasks.sources import MICRO


def plan_text(plan: Plan, folder: Path, done: int, todo: int) -> str:
    """The plan of a run, for the terminal."""
    spec = plan.spec
    counts = (
        (len(spec.methods), "method"),
        (len(spec.tasks), "task"),
        (len(spec.models), "model"),
        (len(spec.seeds), "seed"),
    )
    product = " x ".join(f"{count} {name}{'s' * (count > 1)}" for count, name in counts)
    methods = ", ".join(method.label for method in spec.methods)
    models = ", ".join(f"{model.name} ({model.kind})" for model in spec.models)
    recipes = dict.fromkeys(_recipe(training) for training in spec.training)
    lines = [
        f"plan: {product} = {done + todo} cells, {done} done, {todo} to run",
        f"  methods    {methods}",
        f"  model      {models}",
        f"  data       {spec.data.name if spec.data.source == MICRO else spec.data.source}",
        *(f"  {'task' if i == 0 else '':<10} {_task(plan, t)}" for i, t in enumerate(spec.tasks)),
        *(f"  training   {recipe}" for recipe in recipes),
        f"  retention  {spec.retention.name or 'text sampled from the base model'}",
        f"  seeds      {', '.join(map(str, spec.seeds))}",
        f"  results    {folder}",
        *(f"  note       {note}" for note in plan.notes),
    ]
    return "\n".join(lines) + "\n"


def _recipe(training: object) -> str:
    lr, batch = getattr(training, "lr"), getattr(training, "batch_size")  # noqa: B009
    other = {k: v for k, v in changed(training).items() if k not in ("lr", "batch_size", "steps")}
    words = [f"learning rate {lr:g}", f"batches of {batch}"]
    return ", ".join(words + [f"{name} {value}" for name, value in other.items()])


def _task(plan: Plan, task: Task) -> str:
    spec = plan.spec
    train, dev = (len(plan.rows[task.name, spec.data.source, s]) for s in ("train", "dev"))
    used = spec.training[0]
    train, dev = min(train, used.max_train or train), min(dev, used.max_eval or dev)
    forget = ", ".join(other.name for other in spec.forget[task.name]) or "nothing"
    return (
        f"{task.name}: {train} train rows, {dev} dev rows, {spec.steps[task.name]} steps; "
        f"forgetting task {forget}"
    )
