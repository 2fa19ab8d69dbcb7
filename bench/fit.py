"""Which methods of a run fit which models and tasks: asked before anything starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bench.registry import place_of
from bench.spec import THEN, ModelInfo, RefusalKey, Retention, Training

if TYPE_CHECKING:
    from methods.base import Method
    from tasks.base import Task


def refusals(
    methods: Sequence[Method],
    models: Sequence[tuple[ModelInfo, Training]],
    groups: Sequence[tuple[Task, ...]],
    forget: Mapping[str, tuple[Task, ...]],
    retention: Retention,
) -> dict[RefusalKey, str]:
    """Why a method is kept out of a model's cells on a task (or sequence of tasks), where it is."""
    found: dict[RefusalKey, str] = {}
    for model, recipe in models:
        for method in methods:
            for tasks in groups:
                lonely = [task.name for task in tasks if not forget[task.name]]
                if reason := _misfit(method, model, recipe, lonely, retention):
                    key = RefusalKey(model.name, method.label, THEN.join(t.name for t in tasks))
                    found[key] = reason
    return found


def _misfit(
    method: Method, model: ModelInfo, recipe: Training, lonely: list[str], retention: Retention
) -> str | None:
    """Why the method cannot work here; `lonely` are the tasks without a forgetting task."""
    try:
        needs, reason = method.needs, method.refuses(model, recipe)
    except Exception as error:  # a plug-in's mistake is no reason to keep the others waiting
        return f"{type(error).__name__}: {error}{place_of(error)}"
    if reason:
        return f"it cannot run on {model.name}: {reason}"
    if "generation" in needs and not model.generates:
        return (
            f"it needs a model that writes text, and {model.name} is an encoder, which cannot "
            "generate. Choose a causal model with --model, or leave the method out"
        )
    if "text" in needs and retention.text is None:
        return "it needs a text: give one with --retention FILE"
    if "forget" in needs and lonely:
        return (
            f"it needs a forgetting task for {', '.join(lonely)}, and the data holds no other "
            "task: name one with --forget"
        )
    return None
