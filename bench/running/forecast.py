"""What a plan will take, before it is run: time and memory of each method, and how sure that is."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from bench.cells.cell import AnyCell, Cell, TaskSequence, label_of
from bench.cells.store import Store
from bench.core.errors import BenchError
from bench.core.machine import available_bytes, gpus
from bench.core.memory import Footprint, Place
from bench.planning.plan import Forecast
from bench.running.estimates import ALIKE, HERE, PROBED, ROUGH, Estimates
from bench.running.job import Job
from bench.running.room import here

_STEPS, _ROWS, _TOKENS = 6, 64, 2048  # of a probe
_SAY_SECONDS = 2.0  # between two words on how far the arithmetic is
ARITHMETIC = "arithmetic"
"""How sure memory is of which nothing was measured."""
_SURE = (HERE, ALIKE, PROBED, ROUGH)


def forecasts(job: Job, probe: bool, tell: Callable[[str], None], place: Place) -> list[Forecast]:
    """Of what is to run, by method; by cells that are in the folder, and if asked by a `probe` of
    what nothing is known of. Nothing is written into the folder; `tell` is told of what takes
    long."""
    estimates = Estimates.of_plan(job.plan, Store(job.folder).all())
    if probe:
        _probe(job, estimates, tell)
    by_method: dict[str, list[AnyCell]] = {}
    for cell in job.todo:
        by_method.setdefault(label_of(cell), []).append(cell)
    found, said = list[Forecast](), time.monotonic()
    for name, cells in by_method.items():
        if time.monotonic() - said > _SAY_SECONDS:
            tell(f"memory by arithmetic: {len(found)} of {len(by_method)} methods, then {name}")
            said = time.monotonic()
        found.append(_of_method(name, cells, estimates, job, place))
    return found


def _of_method(
    name: str, cells: Sequence[AnyCell], estimates: Estimates, job: Job, place: Place
) -> Forecast:
    found = [estimates.of(cell) for cell in cells]
    known = [one for one in found if one is not None]
    alike = place.on_gpu == bool(gpus()) and place.over == 1
    measured = [one.memory_mib for one in known if one.memory_mib and alike]
    largest = _largest(cells, job, place)
    memory = max(measured, default=None) or (largest.device / 2**20 if largest else None)
    sure = max((one.sure for one in known), key=_SURE.index, default="")
    whole = len(known) == len(cells)
    return Forecast(
        method=name,
        cells=len(cells),
        seconds=sum(one.seconds for one in known) if whole else None,
        memory_mib=memory,
        time_by=sure if whole else "",
        memory_by=sure if measured else ARITHMETIC if memory else "",
        footprint=largest,
    )


def _largest(cells: Sequence[AnyCell], job: Job, place: Place) -> Footprint | None:
    """The largest of cells that differ in more than their seed; None where none can be told."""
    from bench.running.footprint import tried

    apart = {cell.identity()["task"] + cell.identity()["model"]["hash"]: cell for cell in cells}
    found = [tried(cell, job.plan, place) for cell in apart.values()]
    return max(filter(None, found), key=lambda one: one.device, default=None)


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
    needed, free = _largest([cell], job, here()), available_bytes()
    return bool(gpus()) or (needed is not None and (free is None or needed.device < free))
