"""A plan in its folder: what is done there, what is to run, and running it."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cells.store import Store
from bench.cells.weights import Weights
from bench.core.files import check_writable, sweep
from bench.planning.options import Options
from bench.planning.plan import Plan, make_plan
from bench.planning.plugins import load_all
from bench.running.executor import keep_refusals, open_cells, run_in_process
from bench.running.pool import run_in_workers
from bench.running.reasons import Place, place_of, reason
from bench.running.sharing import processes, rank
from bench.running.workers import how_many

if TYPE_CHECKING:
    from bench.cells.cell import AnyCell
    from bench.cells.result import CellResult


@dataclass(frozen=True)
class Job:
    """A plan, the folder of its results, and which of its cells are still to run."""

    plan: Plan
    folder: Path
    cells: tuple[AnyCell, ...]
    todo: tuple[AnyCell, ...]
    workers: int = 1  # processes that run them
    plugin: tuple[Path, ...] = ()  # files that each of these reads first
    task_file: tuple[Path, ...] = ()

    def reasons(self) -> dict[str, list[AnyCell]]:
        """Why cells are to run -> the cells."""
        results: dict[Place, list[CellResult]] = {}
        for result in Store(self.folder).all() if self.todo else []:
            results.setdefault(place_of(result["cell"]), []).append(result)
        weights = Weights(self.folder)
        found: dict[str, list[AnyCell]] = {}
        for cell in self.todo:
            alike = results.get(place_of(cell.identity()), [])
            found.setdefault(reason(cell, alike, weights), []).append(cell)
        return found


def planned(options: Options) -> Job:
    """Load the plug-ins, plan, and look at what is done already. Nothing is written.

    Raises:
        BenchError: a name, a value, a file or a combination that cannot work.
    """
    own = load_all(options.plugin, options.task_file)
    plan = make_plan(replace(options, tasks=options.tasks or own))
    names = "-".join(model.name.replace("/", "--") for model in plan.spec.models)
    folder = options.out or Path("results", "local", names)
    cells = tuple(plan.spec.cells())
    todo, _ = open_cells(cells, Store(folder), plan.submission)
    workers = how_many(options.jobs, todo)
    return Job(plan, folder, cells, tuple(todo), workers, options.plugin, options.task_file)


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
