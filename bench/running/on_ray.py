"""Cells as Ray tasks, on a cluster of this machine's own or on one that is there."""

from __future__ import annotations

import functools
import logging
import os
import signal
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from bench.cells.cell import AnyCell
from bench.cells.store import Store
from bench.core.errors import BenchError, TerminatedError
from bench.core.machine import cores
from bench.running.blank import failed_result
from bench.running.estimates import Estimates
from bench.running.executor import CellRunner
from bench.running.job import Job
from bench.running.order import next_cell
from bench.running.progress import Display
from bench.running.remote import Follower, Packed, packed, python_path

_LOOK_SECONDS = 0.5
_HERE = ("127.0.0.1", "localhost")


def run_on_ray(job: Job, store: Store, quiet: bool = False) -> list[AnyCell]:
    """Run what is to run as Ray tasks, a cell each, as many at once as the cluster has CPUs, or
    GPUs; a cell whose process or node is lost runs once more. Returns what the deadline leaves.

    Raises:
        KeyboardInterrupt, TerminatedError: stopped, and every running cell has a checkpoint.
        BenchError: there is no cluster, or a cell's process cannot begin.
    """
    ray = _connected(job.ray_address)
    try:
        estimates = Estimates.of_plan(job.plan, store.all())
        with Display(job.todo, estimates, quiet, job.workers) as display:
            tasks = _Tasks(ray, job, Follower(job, store, display))
            try:
                tasks.run()
            except BaseException:
                tasks.stop()
                raise
            return display.left
    finally:
        ray.shutdown()


def _connected(address: str | None) -> Any:
    """Ray, connected to a cluster: a new one of this machine alone where no address is given."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address is None or address.rpartition(":")[0] in _HERE:
        # Ray's own word for: stay on the loopback device
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    import ray

    given: dict[str, Any] = {"address": address}
    if address is None:
        given = {"address": "local", "num_cpus": cores(), "_node_ip_address": "127.0.0.1"}
        given["include_dashboard"] = False
    stops = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(
            **given,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"env_vars": {"PYTHONPATH": python_path()}},
        )
    except Exception as error:  # of any kind: some are Exception itself
        line = str(error).strip().partition("\n")[0]
        where = f"--ray-address {address}" if address else "--executor ray"
        raise BenchError(f"{where}: no cluster of Ray can be used ({line}).") from error
    finally:
        signal.signal(signal.SIGTERM, stops)  # Ray has one of its own
    return ray


@functools.lru_cache(maxsize=1)
def _opened(sent: Packed) -> tuple[Job, CellRunner]:
    """A job in a process of Ray's, which runs several of its cells."""
    job = sent.open()
    store = Store(job.folder)
    display = Display(job.todo, Estimates.of_plan(job.plan, ()), quiet=True)
    return job, CellRunner(job.plan, job.todo, store, job.folder, display, job.deadline)


def _run(sent: Packed, place: int, patient: bool) -> None:
    """What a task does."""
    job, runner = _opened(sent)
    runner.run([job.todo[place]], patient)


@dataclass
class _Tasks:
    """The cells that no task has had yet, and those that run."""

    ray: Any
    job: Job
    follower: Follower
    left: list[AnyCell] = field(default_factory=list)
    others: list[AnyCell] = field(default_factory=list)  # that another run has in hand
    running: dict[Any, AnyCell] = field(default_factory=dict)  # by what Ray calls the task
    lost: Counter[str] = field(default_factory=Counter)  # hash -> processes it has cost

    def run(self) -> None:
        """Until no cell is left."""
        self.left = list(self.job.todo)
        sent = self.ray.put(packed(self.job))
        while True:
            while len(self.running) < self._places() and (cell := self._next()) is not None:
                self._begin(sent, cell)
            if not self.running:
                return
            ended, _ = self.ray.wait(list(self.running), timeout=_LOOK_SECONDS)
            self.follower.look()
            for task in ended:
                self._end(task, self.running.pop(task))

    def stop(self) -> None:
        """Stop every running cell with its checkpoint; at once, without one, when asked again."""
        for task in self.running:
            self.ray.cancel(task)
        try:
            self.ray.wait(list(self.running), num_returns=len(self.running) or 1)
        except (KeyboardInterrupt, TerminatedError):
            for task in self.running:
                self.ray.cancel(task, force=True)

    def _places(self) -> int:
        """Cells that may run at once; nodes come and go."""
        has = self.ray.cluster_resources()
        there = int(has.get("GPU", 0)) * (self.job.per_gpu or 1) or int(has.get("CPU", 0))
        return max(1, min(there, self.job.workers))

    def _next(self) -> AnyCell | None:
        estimates, deadline = self.follower.display.estimates, self.job.deadline
        cells = [c for c in self.left or self.others if deadline.fits(estimates.seconds(c))]
        return next_cell(cells, list(self.running.values()))

    def _begin(self, sent: Any, cell: AnyCell) -> None:
        patient = not self.left
        (self.left or self.others).remove(cell)
        on_gpu = self.ray.cluster_resources().get("GPU", 0) > 0
        needs = {"num_cpus": 1, "num_gpus": 1 / (self.job.per_gpu or 1) if on_gpu else 0}
        task = self.ray.remote(**needs, max_retries=0)(_run)
        self.running[task.remote(sent, self.job.todo.index(cell), patient)] = cell

    def _end(self, task: Any, cell: AnyCell) -> None:
        from ray.exceptions import RayError, RayTaskError

        try:
            self.ray.get(task)
        except BenchError:
            raise
        except RayTaskError as error:
            raise BenchError(f"--executor ray: {cell} could not begin: {error.cause!r}") from error
        except RayError as error:
            self.follower.leave(cell)
            self._lose(cell, str(error).strip().splitlines()[0])
            return
        if not self.follower.has_ended(cell):
            self.follower.leave(cell)
            self.others.append(cell)

    def _lose(self, cell: AnyCell, reason: str) -> None:
        """The process of a cell is no more, or its node: once more; then it has failed."""
        self.lost[cell.hash] += 1
        if self.follower.has_ended(cell):
            return
        if self.lost[cell.hash] == 1:
            self.follower.display.say(f"{cell}: its process or node was lost, it runs once more")
            self.left.insert(0, cell)
        else:
            result = failed_result(cell, f"lost twice: {reason}", outside=True)
            self.follower.store.write(result, None)
            self.follower.look()
