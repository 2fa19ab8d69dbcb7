"""Running what is to run of a job, in this process or on several."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

from bench.cells.store import Store
from bench.core.files import check_writable, sweep
from bench.running.executor import keep_refusals, run_in_process
from bench.running.job import Job
from bench.running.pool import run_in_workers
from bench.running.sharing import processes, rank

if TYPE_CHECKING:
    from bench.cells.result import CellResult


def finished(job: Job, quiet: bool = False) -> list[CellResult]:
    """Run what is to run, and return the results of all cells: done, failed and refused; of
    several processes only the first has them. If `quiet`, only what fails is said.

    Raises:
        BenchError: the folder cannot be written; a cell failed in some of several processes only.
        KeyboardInterrupt: stopped; finished cells are kept and the running one has a checkpoint.
    """
    check_writable(job.folder)
    store = Store(job.folder)
    if rank() == 0:
        _sweep(job)
    if job.workers > 1:
        run_in_workers(job, store, quiet)
    elif job.todo or processes() > 1:  # the first process says what is to run
        run_in_process(job.plan, job.todo, store, job.folder, quiet)
    if rank():
        return []
    keep_refusals(job.plan, store)
    refused = (cell for cell, _ in job.plan.spec.refusals())
    wanted = {cell.hash for cell in (*job.cells, *refused)}
    results = store.all()
    for line in store.set_aside:
        print(line, file=sys.stderr)
    return [result for result in results if result["hash"] in wanted]


def _sweep(job: Job) -> None:
    """Delete what runs that were killed have left: temporary files, and checkpoints of cells that
    are done."""
    sweep(job.folder)
    todo = {cell.hash for cell in job.todo}
    done = {cell.hash[:24] for cell in job.cells if cell.hash not in todo}
    for path in (job.folder / "checkpoints").glob("*"):
        if path.name.partition(".")[0] in done:
            shutil.rmtree(path, ignore_errors=True)
