"""Cells on a Slurm cluster, through submitit: jobs that each take what is left in the folder."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bench.cells.cell import AnyCell
from bench.cells.store import Store
from bench.core.errors import BenchError, TerminatedError
from bench.core.stops import catch_stops
from bench.running.clusters import slurm_executor
from bench.running.estimates import Estimates
from bench.running.executor import run_in_process
from bench.running.job import Job
from bench.running.progress import Display
from bench.running.remote import Follower, Packed, inherited_path, packed

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission

FOLDER = "slurm"
"""In the folder of a run: what submitit keeps of each job, its pickle and its log."""
_DAY_MINUTES = 24 * 60
_LOOK_SECONDS = 1.0


def run_on_slurm(job: Job, store: Store, quiet: bool = False) -> list[AnyCell]:
    """Run what is to run by `job.workers` Slurm jobs, each of which takes what is left; those that
    end early are followed by others, as long as cells get done. Returns what the deadline leaves.

    Raises:
        KeyboardInterrupt, TerminatedError: stopped; the jobs are cancelled.
        BenchError: jobs end without a cell.
    """
    limit = math.ceil(job.deadline.left / 60) if job.deadline.left < math.inf else _DAY_MINUTES
    executor = slurm_executor(job.folder / FOLDER, job.slurm, limit)
    estimates = Estimates.of_plan(job.plan, store.all())
    with Display(job.todo, estimates, quiet, job.workers) as display:
        follower = Follower(job, store, display)
        while display.left and job.deadline.left > 0:
            count = len(display.left)
            # a cell that has failed in a shift is not left to the next
            shift = Shift(packed(replace(job, todo=tuple(display.left))))
            with inherited_path(), executor.batch():
                jobs = [executor.submit(shift) for _ in range(min(job.workers, count))]
            _wait(jobs, follower)
            if len(display.left) == count and job.deadline.left > 0 and not follower.in_hand():
                raise BenchError(f"--executor slurm: no job ran a cell: {_reason(jobs)}.")
            while display.left and follower.in_hand() and job.deadline.left > 0:
                time.sleep(_LOOK_SECONDS)  # other commands in the folder run them
                follower.look()
        return display.left


@dataclass
class Shift:
    """What a Slurm job does. On preemption the cell in hand keeps a checkpoint, and the job is
    queued again."""

    packed: Packed

    def __call__(self) -> None:
        """Run what is left in the folder, but for what others have in hand."""
        catch_stops()  # which submitit ignores
        preempted: list[int] = []
        # submitit's own, which queues the job again; it would not wait for a checkpoint
        theirs = {
            number: handler
            for number in (signal.SIGUSR1, signal.SIGUSR2)
            if callable(handler := signal.getsignal(number))
        }

        def stop(number: int, frame: object) -> None:
            preempted.append(number)
            os.kill(os.getpid(), signal.SIGTERM)

        for number in theirs:
            signal.signal(number, stop)
        try:
            job = self.packed.open()
            store = Store(job.folder)
            run_in_process(
                job.plan, job.todo, store, job.folder, deadline=job.deadline, patient=False
            )
        except TerminatedError:
            if not preempted:
                raise
            theirs[signal.Signals(preempted[0])](preempted[0], None)

    def checkpoint(self) -> DelayedSubmission:
        """What is queued again: the same, which finds in the folder what is done."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def _wait(jobs: Sequence[Any], follower: Follower) -> None:
    """Until all jobs have ended; when this process is stopped, they are too."""
    try:
        while not all(job.done() for job in jobs):
            follower.look()
            time.sleep(_LOOK_SECONDS)
        follower.look()
        follower.display.running.clear()
    except BaseException:
        for job in jobs:
            _cancel(job)
        raise


def _cancel(job: Any) -> None:
    """End a job; a process of this machine, whose number is the job's, with a checkpoint."""
    if "slurm" in type(job).__name__.lower():
        job.cancel()
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(job.job_id), signal.SIGTERM)
    job.wait()


def _reason(jobs: Sequence[Any]) -> str:
    """The last line of what the first job that failed has said."""
    texts = [str(error).strip() for job in jobs if (error := job.exception()) is not None]
    return texts[0].splitlines()[-1] if texts else "see their logs in the folder"
