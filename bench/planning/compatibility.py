"""Which methods, models and tasks of a run fit each other: asked before anything starts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from textwrap import shorten
from typing import TYPE_CHECKING

from bench.cells.cell import THEN, ModelInfo
from bench.cells.grid import RefusalKey
from bench.cells.recipe import Training
from bench.planning.plugins import place_of
from bench.rows.label_names import head_order
from bench.training.method import NEEDS, ROLES

if TYPE_CHECKING:
    from bench.rows.task import Task
    from bench.training.method import Method, Need


def refusals(
    methods: Sequence[Method],
    models: Sequence[tuple[ModelInfo, Training]],
    groups: Sequence[tuple[Task, ...]],
    forget: Mapping[str, tuple[Task, ...]],
    has: Collection[Need],
    lm_eval: Sequence[str],
    cut: bool,
) -> dict[RefusalKey, str]:
    """Why cells cannot run, by model, method and task (or sequence of tasks), where they cannot;
    `has` says which of "text" and "truth" the run has, `cut` whether weights are cut over
    processes."""
    found: dict[RefusalKey, str] = {}
    for model, recipe in models:
        for tasks in groups:
            name = THEN.join(task.name for task in tasks)
            lonely = [task.name for task in tasks if not forget[task.name]]
            own = [task.name for task in tasks if task in forget[task.name]]
            unasked = _unscorable(model, lm_eval)
            beyond = next(filter(None, (_unanswerable(t, model, recipe) for t in tasks)), unasked)
            for method in methods:
                asked = method, model, recipe, (lonely, own), has, cut
                if reason := beyond or _misfit(*asked):
                    found[RefusalKey(model.name, method.label, name)] = reason
    return found


def head_notes(models: Sequence[ModelInfo], tasks: Sequence[Task]) -> list[str]:
    """What becomes of heads that encoders were fine-tuned with."""
    notes = []
    for model in models:
        if model.kind == "causal" or not model.head:
            continue
        taken = [task.name for task in tasks if head_order(task, model.head)]
        others = [task.name for task in tasks if task.name not in taken]
        its = f"{model.name}'s head (of {shorten(', '.join(model.head), 80)})"
        if taken:
            notes.append(f"{its} is taken for {', '.join(taken)}, label by name")
        if others:
            notes.append(f"{its} is not one for {', '.join(others)}: a new one is drawn")
    return notes


def in_words(refused: Mapping[RefusalKey, str]) -> list[str]:
    """`ewc, lwf on MODEL (cola, rte): REASON`, a line for all methods and tasks that share it."""
    tasks: dict[tuple[str, str, str], list[str]] = {}
    for key, reason in refused.items():
        tasks.setdefault((key.model, key.method, reason), []).append(key.task)
    methods: dict[tuple[str, str, str], list[str]] = {}
    for (model, method, reason), names in tasks.items():
        methods.setdefault((model, ", ".join(names), reason), []).append(method)
    return [
        f"{', '.join(names)} on {model} ({which}): {reason}"
        for (model, which, reason), names in methods.items()
    ]


def _unanswerable(task: Task, model: ModelInfo, recipe: Training) -> str | None:
    """Why the model cannot answer the task, whatever the method."""
    reasons = {
        "generation": "which cannot write",
        "text": "which predicts masked tokens, not the next one",
    }
    if model.kind == "encoder" and task.kind in reasons:
        return f"{task.name} needs a causal model: {model.name} is an encoder, {reasons[task.kind]}"
    if model.kind == "encoder" and recipe.shots:
        return f"train.shots {recipe.shots}: {model.name}, an encoder, has no prompts"
    return None


def _unscorable(model: ModelInfo, lm_eval: Sequence[str]) -> str | None:
    """Why lm-evaluation-harness cannot score the model."""
    if model.kind == "encoder" and lm_eval:
        return (
            f"--lm-eval {','.join(lm_eval)}: {model.name} is an encoder, and lm-evaluation-"
            "harness asks a causal LM. Choose a causal model, or leave --lm-eval out"
        )
    return None


def _unknown_word(method: Method) -> str | None:
    """What a method says that means nothing, such as a misspelt need, which nobody would check."""
    for name, said, known in (("needs", method.needs, NEEDS), ("roles", method.roles, ROLES)):
        for word in sorted(said - known.keys()):
            return f"{word!r} in its {name} is none of {', '.join(known)}"
    return None


def _misfit(
    method: Method,
    model: ModelInfo,
    recipe: Training,
    forget: tuple[list[str], list[str]],
    has: Collection[Need],
    cut: bool,
) -> str | None:
    """Why the method cannot work here; `forget` are the tasks without a forgetting task, and those
    that are their own."""
    lonely, own = forget
    try:
        strange = _unknown_word(method)
        recipe = recipe if method.lr is None else replace(recipe, lr=method.lr)
        needs, reason = method.needs, method.refuses(model, recipe)
    except Exception as error:  # a plug-in's mistake is no reason to keep the others waiting
        return f"{type(error).__name__}: {error}{place_of(error)}"
    if strange:
        return strange
    if reason:
        return reason
    if cut and method.whole:
        return f"FSDP: {method.whole}; run it with data parallel, without --use_fsdp"
    if cut and recipe.compile:
        return "FSDP: train.compile=true has not been made to work with it; leave one of them out"
    if "generation" in needs and not model.generates:
        return (
            f"it needs a model that writes text, and {model.name} is an encoder, which cannot "
            "generate. Choose a causal model with --model, or leave the method out"
        )
    if "text" in needs and "text" not in has:
        return "it needs a text: give one with --retention FILE"
    if "truth" in needs and "truth" not in has:
        return "it needs to know which answers are outdated, which generated data alone tells"
    if "forget" in needs and lonely:
        return (
            f"it needs a forgetting task for {', '.join(lonely)}, and the data holds no other "
            "task: name one with --forget"
        )
    if "forget" in needs and "generation" not in needs and own:
        return (
            f"it reads rows of the forgetting task, which are for {', '.join(own)} those that it "
            "learns: name other tasks with --forget"
        )
    return None
