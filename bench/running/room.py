"""Cells that have no room on this machine, found before anything starts; and what would help."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from bench.cells.cell import AnyCell, Cell, MethodSpec, TaskSequence
from bench.cells.grid import RefusalKey, key_of
from bench.core.launcher import shards
from bench.core.machine import gpu_bytes, gpus, total_bytes
from bench.core.memory import Place, training_mib
from bench.planning.plan import Plan
from bench.running.sharing import local_processes, processes
from bench.running.workers import parameters
from bench.training.method import METHODS

_GIB = 2**30
_COPIES = 12  # of the weights: more than any method takes
_ON_DISK = "θ0 is read from disk, tensor by tensor, for it has no room beside the weights"
_MARGIN = 2.0  # by which a rough estimate is to fit, or a closer look is taken
_SAVING: tuple[dict[str, Any], ...] = (
    {"checkpointing": True},
    {"micro_batch": 1},
    {"weights": "bfloat16"},
    {"weights": "bfloat16", "checkpointing": True, "micro_batch": 1},
)
"""What makes a cell smaller, the least change first."""


def here() -> Place:
    """The smallest GPU, or without one this machine, of which each process has a share."""
    over = processes() if shards() else 1
    if gpus():
        return Place("a GPU here", True, min(gpu_bytes(), default=None), over)
    whole, count = total_bytes(), local_processes()
    name = "this machine" if count == 1 else f"each of {count} processes here"
    return Place(name, False, None if whole is None else whole // count, over)


def with_room(plan: Plan, place: Place, may_move: bool) -> tuple[Plan, dict[RefusalKey, str]]:
    """The plan, and why some of its cells have no room there. θ0, if it `may_move`, is read from
    disk where more of them have room then."""
    found = beyond(plan, place)
    if not found or not may_move:
        return plan, found
    other = replace(plan, on_disk=True, notes=(*plan.notes, _ON_DISK))
    fewer = beyond(other, place)
    return (other, fewer) if len(fewer) < len(found) else (plan, found)


def beyond(plan: Plan, place: Place) -> dict[RefusalKey, str]:
    """Why cells have no room there, by model, method and task (or sequence of tasks)."""
    found: dict[RefusalKey, str] = {}
    if place.room is None:
        return found
    for model, training, tasks in plan.spec.places():
        for method in plan.spec.methods:
            key = key_of(model, method, tasks)
            if key in plan.spec.refused:
                continue
            cell = plan.spec.cell(method, tasks, model, training, plan.spec.seeds[0])
            if not _is_small(cell, place.room) and (reason := _too_large(cell, plan, place)):
                found[key] = reason
    return found


def _is_small(cell: AnyCell, room: int) -> bool:
    """Whether there is so much room that nobody needs to look: by the weights' number."""
    first = cell.stages[0] if isinstance(cell, TaskSequence) else cell
    count, recipe = parameters(first.model), first.training
    batch = min(recipe.micro_batch or recipe.batch_size, recipe.batch_size)
    size = first.model.hidden_size
    mib = training_mib(count, size, _COPIES, batch, recipe.max_length, on_gpu=False)
    return count > 0 and _MARGIN * mib * 2**20 < room


def _too_large(cell: AnyCell, plan: Plan, place: Place) -> str | None:
    """Why a cell has no room, and with what it would have; None where it has."""
    from bench.running.footprint import tried

    assert place.room is not None, "it is compared with what is taken"
    room = place.room

    def fits(other: AnyCell) -> bool:
        found = tried(other, plan, place)
        return found is not None and found.device < room

    found = tried(cell, plan, place)
    if found is None or found.device < room:
        return None
    parts = {
        "weights": found.weights,
        "gradients": found.gradients,
        "moments": found.moments,
        "θ0": found.theta0,
        "F": found.importance,
        "θ*": found.star,
        "teacher": found.teacher,
        "passes": found.passes,
    }
    told = ", ".join(f"{name} {size / _GIB:.1f}" for name, size in parts.items() if size)
    helping = next((name for name, other in _smaller(cell) if fits(other)), None)
    advice = f"; {helping} would fit" if helping else ""
    size = f"it takes {found.device / _GIB:.1f} GiB ({told})"
    return f"{size}, and {place.name} has {room / _GIB:.1f}{advice}"


def _smaller(cell: AnyCell) -> Iterator[tuple[str, AnyCell]]:
    """Cells like this one that take less, each with its difference in words."""
    for changes in _SAVING:
        words = ", ".join(f"train.{k}={str(v).lower()}" for k, v in changes.items())
        yield words, _changed(cell, changes)
    for name in METHODS.names():
        method = METHODS.get(name)()
        if "adapter" in method.roles:
            yield f"the method {name}", _changed(cell, {}, method.spec)
            yield f"the method {name} with {words}", _changed(cell, _SAVING[-1], method.spec)


def _changed(cell: AnyCell, changes: dict[str, Any], method: MethodSpec | None = None) -> AnyCell:
    if isinstance(cell, TaskSequence):
        return TaskSequence(tuple(_one_changed(stage, changes, method) for stage in cell.stages))
    return _one_changed(cell, changes, method)


def _one_changed(cell: Cell, changes: dict[str, Any], method: MethodSpec | None) -> Cell:
    recipe = replace(cell.training, **changes)
    return replace(cell, training=recipe, method=method or cell.method)
