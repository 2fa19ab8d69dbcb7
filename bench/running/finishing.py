"""Running what is to run of a job, in this process or on several."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bench.cells.cell import is_trial
from bench.cells.measured import asked, at
from bench.cells.state import keep_plan
from bench.cells.store import Store
from bench.core.files import check_writable, sweep
from bench.running.executor import keep_refusals, run_in_process
from bench.running.job import Job, renewed
from bench.running.pool import run_in_workers
from bench.running.sharing import is_done, processes, rank, unmeasured

if TYPE_CHECKING:
    from bench.cells.cell import AnyCell
    from bench.cells.result import CellResult


@dataclass(frozen=True)
class Finished:
    """What a job has come to."""

    results: list[CellResult]  # of all cells that have one but trials: done, failed and refused
    left: list[AnyCell]  # what its deadline left
    stopped: int = 0  # of these, how many have a checkpoint


def finished(job: Job, quiet: bool = False) -> Finished:
    """Run what is to run; of several processes only the first has results in its hands. If `quiet`,
    only what fails is said.

    Raises:
        BenchError: the folder cannot be written; a cell failed in some of several processes only.
        KeyboardInterrupt: stopped; finished cells are kept and the running one has a checkpoint.
    """
    check_writable(job.folder)
    store = Store(job.folder)
    if rank() == 0:
        _sweep(job)
        keep_plan(job.folder, job.cells)
    left = _run(job, store, quiet)
    while job.plan.spec.searched and not left:  # trials have shown what else there is to run
        before, job = job.todo, renewed(replace(job, retry=None))  # what failed now has been tried
        if job.todo == before:
            break  # nothing came of them
        if rank() == 0:
            keep_plan(job.folder, job.cells)
        left = _run(job, store, quiet)
    if rank():
        return Finished([], [])
    keep_refusals(job.plan, store)
    refused = (cell for cell, _ in job.plan.spec.refusals())
    wanted = {cell.hash: cell for cell in (*job.cells, *refused) if not is_trial(cell)}
    results = store.all()
    for line in store.set_aside:
        print(line, file=sys.stderr)
    stopped = sum((job.folder / "checkpoints" / cell.hash[:24]).is_dir() for cell in left)
    later = {cell.hash for cell in left}
    found = [
        r if r["hash"] in later else _as_asked(r, wanted[r["hash"]], store)
        for r in results
        if r["hash"] in wanted
    ]
    return Finished(found, left, stopped)


def _as_asked(result: CellResult, cell: AnyCell, store: Store) -> CellResult:
    """A result with what was asked for at its top, in its file, too; one that lacks some of it has
    failed."""
    if result["status"] != "done":
        return result
    found = result
    for part, on in asked(cell).items():
        found = at(found, part, on) or found
    if found != result:
        store.write(found, None)
    if is_done(found, cell, store, submission=False):
        return found
    lacking = ", ".join(unmeasured(found, cell, store))
    return {**found, "status": "failed", "error": f"could not be measured: {lacking}"}


def _run(job: Job, store: Store, quiet: bool) -> list[AnyCell]:
    """Run what is to run now; what the deadline left."""
    if job.executor != "local" and job.todo:
        return _run_elsewhere(job, store, quiet)
    if job.workers > 1:
        return run_in_workers(job, store, quiet)
    if job.todo or processes() > 1:  # the first process says what is to run
        return run_in_process(job.plan, job.todo, store, job.folder, quiet, job.deadline)
    return []


def _run_elsewhere(job: Job, store: Store, quiet: bool) -> list[AnyCell]:
    if job.executor == "ray":
        from bench.running.on_ray import run_on_ray

        return run_on_ray(job, store, quiet)
    from bench.running.on_slurm import run_on_slurm

    return run_on_slurm(job, store, quiet)


def _sweep(job: Job) -> None:
    """Delete what runs that were killed have left: temporary files, and checkpoints of cells that
    are done."""
    sweep(job.folder)
    others = {cell.hash for cells in (job.todo, *job.failed.values()) for cell in cells}
    done = {cell.hash[:24] for cell in job.cells if cell.hash not in others}
    for path in (job.folder / "checkpoints").glob("*"):
        if path.name.partition(".")[0] in done:
            shutil.rmtree(path, ignore_errors=True)
