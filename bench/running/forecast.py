"""What a plan will take, before it is run: time and memory of each method, and how sure that is."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from bench.cells.cell import AnyCell, Cell, TaskSequence, label_of
from bench.cells.store import Store
from bench.core.errors import BenchError
from bench.core.machine import available_bytes, gpus
from bench.core.memory import training_mib
from bench.planning.plan import Forecast
from bench.running.estimates import ALIKE, HERE, PROBED, ROUGH, Estimates
from bench.running.job import Job
from bench.running.workers import parameters
from bench.training.method import METHODS

_STEPS, _ROWS, _TOKENS = 6, 64, 2048  # of a probe
_CHARACTERS = 4  # of a token
ARITHMETIC = "arithmetic"
"""How sure memory is of which nothing was measured."""
_SURE = (HERE, ALIKE, PROBED, ROUGH)


def forecasts(job: Job, probe: bool, tell: Callable[[str], None]) -> list[Forecast]:
    """Of what is to run, by method; by cells that are in the folder, and if asked by a `probe` of
    what nothing is known of, of which `tell` is told. Nothing is written into the folder."""
    estimates = Estimates.of_plan(job.plan, Store(job.folder).all())
    if probe:
        _probe(job, estimates, tell)
    by_method: dict[str, list[AnyCell]] = {}
    for cell in job.todo:
        by_method.setdefault(label_of(cell), []).append(cell)
    return [_of_method(name, cells, estimates, job) for name, cells in by_method.items()]


def _of_method(name: str, cells: Sequence[AnyCell], estimates: Estimates, job: Job) -> Forecast:
    found = [estimates.of(cell) for cell in cells]
    known = [one for one in found if one is not None]
    measured = [one.memory_mib for one in known if one.memory_mib]
    memory = max(measured, default=None) or max(
        (mib for cell in cells if (mib := _arithmetic(cell, job))), default=None
    )
    sure = max((one.sure for one in known), key=_SURE.index, default="")
    whole = len(known) == len(cells)
    return Forecast(
        method=name,
        cells=len(cells),
        seconds=sum(one.seconds for one in known) if whole else None,
        memory_mib=memory,
        time_by=sure if whole else "",
        memory_by=sure if measured else ARITHMETIC if memory else "",
    )


def _arithmetic(cell: AnyCell, job: Job) -> float | None:
    """MiB of a cell's process, or on its GPU, by what it holds; None where the model's files are
    not on this machine."""
    first = cell.stages[0] if isinstance(cell, TaskSequence) else cell
    count = parameters(first.model)
    if not count:
        return None
    parts = (METHODS.get(name).card.memory for name in first.method.name.split("+"))
    copies = 4 * (1 + sum(part - 1 for part in parts))
    recipe, rows = first.training, job.plan.material.rows
    longest = max(
        sum(len(str(value)) for value in row.values())
        for row in rows[first.task.name, first.data.source, "train"]
    )
    length = min(recipe.max_length, longest // _CHARACTERS + 1)
    batch = min(recipe.micro_batch or recipe.batch_size, recipe.batch_size)
    return training_mib(count, first.model.hidden_size, copies, batch, length, bool(gpus()))


def _probe(job: Job, estimates: Estimates, tell: Callable[[str], None]) -> None:
    """Measure a few steps of a cell of each method, and of each task, that nothing is known of."""
    from bench.running.single import run_cell
    from bench.running.workspace import Workspace

    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder), lambda *_: None, job.plan.material)
        for cell in _unknown(job.todo, estimates):
            if not _has_room(cell, job):
                tell(f"no probe of {cell}: there is no room for its model here")
                continue
            tell(f"probe: {_STEPS} steps of {cell}")
            small = replace(
                cell.training,
                steps=_STEPS,
                max_eval=min(cell.training.max_eval or _ROWS, _ROWS),
                forget_rows=min(cell.training.forget_rows, _ROWS),
                retention_tokens=min(cell.training.retention_tokens, _TOKENS),
            )
            try:
                result, *_ = run_cell(
                    replace(cell, training=small, steps=min(cell.steps, _STEPS)), workspace, False
                )
            except (BenchError, RuntimeError, ValueError) as error:
                tell(f"the probe of {cell} fails: {str(error).partition(chr(10))[0]}")
                continue
            estimates.add([result], probed=True)


def _unknown(cells: Sequence[AnyCell], estimates: Estimates) -> Iterator[Cell]:
    """A cell of each method, and of each task, of which nothing is known, as far as that is so when
    its turn comes."""
    for cell in cells:
        stages = cell.stages if isinstance(cell, TaskSequence) else (cell,)
        yield from (
            one
            for one in (replace(stage, model=stages[0].model) for stage in stages)
            if not estimates.knows(one)
        )


def _has_room(cell: Cell, job: Job) -> bool:
    needed, free = _arithmetic(cell, job), available_bytes()
    return bool(gpus()) or (needed is not None and (free is None or needed * 2**20 < free))
