"""A plan in its folder: what is done there, and what is to run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cells.cell import AnyCell, is_trial
from bench.cells.store import Store
from bench.core.durations import NEVER, Deadline, seconds_of
from bench.core.errors import BenchError
from bench.core.launcher import shards
from bench.planning.options import Executor, Options, Retry
from bench.planning.plan import Plan, also_refused, make_plan
from bench.planning.plugins import load_all
from bench.planning.tuning import settled
from bench.running import device
from bench.running.clusters import check_executor
from bench.running.executor import open_cells, result_of
from bench.running.reasons import TRIAL, Place, place_of, reason
from bench.running.room import here, with_room
from bench.running.sharing import processes
from bench.running.workers import how_many
from bench.training.stack import build

if TYPE_CHECKING:
    from bench.cells.result import CellResult


@dataclass(frozen=True)
class Job:
    """A plan, the folder of its results, and which of its cells are still to run."""

    plan: Plan
    folder: Path
    cells: tuple[AnyCell, ...]
    todo: tuple[AnyCell, ...]
    failed: Mapping[str, list[AnyCell]] = field(default_factory=dict)
    """By what went wrong, the cells that failed before, and would do so again."""
    retry: Retry | None = None  # whether they run all the same
    workers: int = 1  # processes that run them
    jobs: int | None = None  # as many were asked for
    per_gpu: int | None = None  # cells at once
    plugin: tuple[Path, ...] = ()  # files that each of these reads first
    task_file: tuple[Path, ...] = ()
    deadline: Deadline = NEVER
    executor: Executor = "local"
    ray_address: str | None = None
    slurm: tuple[str, ...] = ()  # NAME=VALUE, for submitit

    def reasons(self) -> dict[str, list[AnyCell]]:
        """Why cells are to run -> the cells."""
        results: dict[Place, list[CellResult]] = {}
        store = Store(self.folder)
        for result in store.all() if self.todo else []:
            results.setdefault(place_of(result["cell"]), []).append(result)
        found: dict[str, list[AnyCell]] = {}
        for cell in self.todo:
            alike = results.get(place_of(cell.identity()), [])
            text = TRIAL if is_trial(cell) else reason(cell, alike, store)
            found.setdefault(text, []).append(cell)
        return found


def planned(options: Options, dry: bool = False, cut: bool = False) -> Job:
    """Load the plug-ins, plan, and look at what is done already. Nothing is written. A `dry` job
    is not to run: its models need no weights, and its cells no room. It may be one whose weights
    are `cut` over processes.

    Raises:
        BenchError: a name, a value, a file or a combination that cannot work.
    """
    deadline = _deadline(options.time_limit)
    check_executor(options)
    device.use(options.device)
    own = load_all(options.plugin, options.task_file)
    plan = make_plan(replace(options, tasks=options.tasks or own), weightless=dry, cut=cut)
    plan = replace(plan, on_disk=options.theta0 == "disk")
    if options.executor == "local":
        for recipe in plan.spec.training:
            device.check(recipe)
        plan = replace(plan, device=device.told())
        if (processes() == 1 or shards()) and not dry:
            may_move = options.theta0 is None and not shards()
            plan, found = with_room(plan, here(), may_move)
            plan = also_refused(plan, options, found)
    names = "-".join(model.name.replace("/", "--") for model in plan.spec.models)
    folder = options.out or Path("results", "local", names)
    job = Job(
        plan=plan,
        folder=folder,
        cells=(),
        todo=(),
        retry=options.retry,
        jobs=options.jobs,
        per_gpu=options.per_gpu,
        plugin=options.plugin,
        task_file=options.task_file,
        deadline=deadline,
        executor=options.executor,
        ray_address=options.ray_address,
        slurm=options.slurm,
    )
    return renewed(job)


def renewed(job: Job) -> Job:
    """The job as its folder is now: trials that have run may have shown the settings of cells, or
    of further trials."""
    plan, store, retry = job.plan, Store(job.folder), job.retry == "failed"
    trials: list[AnyCell] = []
    if plan.tuning is not None:
        spec, trials = settled(plan.spec, plan.tuning, lambda cell: result_of(cell, store, retry))
        plan = replace(plan, spec=spec)
    cells = (*trials, *plan.spec.cells())
    todo, failed = open_cells(cells, store, plan.submission, retry)
    workers = how_many(job.jobs, todo, job.per_gpu, job.executor)
    return replace(job, plan=plan, cells=cells, todo=tuple(todo), failed=failed, workers=workers)


def unknown_method(job: Job, option: str) -> str:
    """What this process, which reads files alone, does not know of a job that another one has sent
    because of `option`; empty: nothing."""
    try:
        for cell in job.todo:
            build(cell.method)
    except BenchError as error:
        return (
            f"{option}: another process does not know a method that is defined here: give its "
            f"file by --plugin, or leave {option.split()[0]} out. {error}"
        )
    return ""


def _deadline(limit: str | None) -> Deadline:
    """Raises BenchError where the limit is no length of time, or processes that accelerate started
    would have to agree on it at every step."""
    if limit is None:
        return NEVER
    if processes() > 1:
        raise BenchError("--time-limit: not under accelerate launch, whose processes cannot agree.")
    return Deadline.after(seconds_of(limit, "--time-limit"))
