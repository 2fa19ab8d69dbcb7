"""Cells on several processes of this machine, one to a worker at a time."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import send_handle
from types import FrameType
from typing import IO, TYPE_CHECKING, Any

from bench.cells.cell import AnyCell
from bench.cells.store import Store
from bench.core.errors import BenchError, TerminatedError
from bench.core.files import atomic_write_text
from bench.core.machine import gpus
from bench.running.blank import failed_result
from bench.running.estimates import Estimates
from bench.running.order import next_cell
from bench.running.progress import Display
from bench.running.server import END, FORK
from bench.running.worker import BROKEN, FREE, STOPPED

if TYPE_CHECKING:
    from bench.running.job import Job


def run_in_workers(job: Job, store: Store, quiet: bool = False) -> list[AnyCell]:
    """Run what is to run on `job.workers` processes, as `run_in_process` does on one; a process
    that dies costs its cell. Returns what the deadline leaves.

    Raises:
        KeyboardInterrupt, TerminatedError: stopped, and every running cell has a checkpoint.
        BenchError: a result cannot be written, or workers cannot be started.
    """
    estimates = Estimates.of_plan(job.plan, store.all())
    with Display(job.todo, estimates, quiet, job.workers) as display:
        pool = _Pool(job, store, display, Server(job))
        try:
            with pool.pausing():
                pool.run()
        except BaseException:
            pool.stop()
            raise
        finally:
            pool.close()
        return display.left


class Server:
    """The process that forks workers, of `bench.running.server`."""

    def __init__(self, job: Job) -> None:
        ours, theirs = socket.socketpair()
        self.control = Connection(ours.detach())
        words = f"sys.path[:] = {sys.path!r}; from bench.running.server import main"
        # a worker has one thread; and asking for GPUs must not touch them before the fork
        given = {"OMP_NUM_THREADS": "1"} if not gpus() else {"PYTORCH_NVML_BASED_CUDA_CHECK": "1"}
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-c", f"import sys; {words}; main({theirs.fileno()})"],
                env={**os.environ, **given},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._ask((job.plugin, job.task_file), job)

    def fork(self, gpu: str | None) -> tuple[int, Connection, IO[bytes]]:
        """A new worker's process id, the pipe to it, and the file of its last words if it crashes.

        Raises:
            BenchError: a method is known to this process alone.
        """
        ours, theirs = socket.socketpair()
        trace = tempfile.TemporaryFile()  # noqa: SIM115, it lives as long as the worker
        with theirs:
            self._ask((FORK, gpu))
            for end in (theirs, trace):
                send_handle(self.control, end.fileno(), self.process.pid)
        answer = self._answer()
        if isinstance(answer, str):
            raise BenchError(answer)
        return answer, Connection(ours.detach()), trace

    def exit_code(self, pid: int) -> int:
        """That of a worker that has ended, negative of a signal."""
        self._ask((END, pid))
        code: int = self._answer()
        return code

    def close(self) -> None:
        """Let it end."""
        self.control.close()
        self.process.wait()

    def _ask(self, *values: object) -> None:
        try:
            for value in values:
                self.control.send(value)
        except OSError as error:
            raise self._gone() from error

    def _answer(self) -> Any:
        try:
            return self.control.recv()
        except (EOFError, OSError) as error:
            raise self._gone() from error

    def _gone(self) -> BenchError:
        return BenchError(
            f"the process that starts workers has ended (exit code {self.process.wait()}); "
            "--jobs 1 runs without it."
        )


@dataclass
class _Worker:
    """A process that runs cells, and the one that it has in hand."""

    number: int
    pid: int
    pipe: Connection
    trace: IO[bytes]
    cell: AnyCell | None = None
    tried: bool = False  # whether it has said how the cell went


@dataclass
class _Pool:
    """The workers, and the cells that none has had yet."""

    job: Job
    store: Store
    display: Display
    server: Server
    workers: list[_Worker] = field(default_factory=list)
    left: list[AnyCell] = field(default_factory=list)
    others: list[AnyCell] = field(default_factory=list)  # that another run has in hand

    def run(self) -> None:
        """Until no cell is left."""
        self.left = list(self.job.todo)
        for number in range(self.job.workers):
            self.workers.append(self._new(number))
        while True:
            for worker in self.workers:
                if worker.cell is None and (cell := self._next()) is not None:
                    self._give(worker, cell)
            busy = [worker for worker in self.workers if worker.cell is not None]
            if not busy:
                return
            self._listen(busy)

    @contextmanager
    def pausing(self) -> Iterator[None]:
        """Let Ctrl-Z, which reaches this process alone, stop the workers too, until it goes on."""

        def pause(number: int, frame: FrameType | None) -> None:
            self._signal(self.workers, signal.SIGSTOP)
            os.kill(os.getpid(), signal.SIGSTOP)
            self._signal(self.workers, signal.SIGCONT)

        main = threading.current_thread() is threading.main_thread()
        if not main or signal.getsignal(signal.SIGTSTP) is not signal.SIG_DFL:
            yield
            return
        signal.signal(signal.SIGTSTP, pause)
        try:
            yield
        finally:
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)

    def stop(self) -> None:
        """Stop every running cell with its checkpoint; at once, without one, when asked again."""
        busy = [worker for worker in self.workers if worker.cell is not None]
        self._signal(busy, signal.SIGTERM)
        try:
            while busy := [worker for worker in busy if not self._has_ended(worker)]:
                wait([worker.pipe for worker in busy])
        except (KeyboardInterrupt, TerminatedError):
            self._signal(busy, signal.SIGKILL)

    def close(self) -> None:
        """Let the workers end, and the process that forked them."""
        for worker in self.workers:
            worker.pipe.close()
        self.server.close()

    def _new(self, number: int) -> _Worker:
        devices = gpus()
        gpu = devices[number % len(devices)] if devices else None
        return _Worker(number, *self.server.fork(gpu))

    def _give(self, worker: _Worker, cell: AnyCell) -> None:
        """Let a worker run a cell; where nothing else is left, also wait for another run's."""
        worker.cell, worker.tried = cell, False
        patient = not self.left and cell in self.others
        group = self.others if cell in self.others else self.left
        group.remove(cell)
        try:
            worker.pipe.send((self.job.todo.index(cell), patient))
        except OSError:  # it has ended, as its pipe says in a moment
            return

    def _next(self) -> AnyCell | None:
        """What a free worker runs next; None: it waits."""
        in_hand = [worker.cell for worker in self.workers if worker.cell is not None]
        return next_cell([cell for cell in self.left or self.others if self._fits(cell)], in_hand)

    def _fits(self, cell: AnyCell) -> bool:
        return self.job.deadline.fits(self.display.estimates.seconds(cell))

    def _listen(self, busy: list[_Worker]) -> None:
        """Hear the workers that have something to say."""
        by_pipe = {worker.pipe: worker for worker in busy}
        for pipe in wait(list(by_pipe)):
            assert isinstance(pipe, Connection)
            worker = by_pipe[pipe]
            try:
                self._hear(worker, *pipe.recv())
            except (EOFError, ConnectionResetError):
                self._bury(worker)

    def _hear(self, worker: _Worker, word: str, *values: Any) -> None:
        """Act on a word of `bench.running.worker.work`."""
        if word == BROKEN:
            raise BenchError(values[0])
        if word == FREE:
            if not worker.tried and worker.cell is not None:
                self.others.append(worker.cell)
            self.display.running.pop(worker.number, None)
            worker.cell = None
            return
        worker.tried = worker.tried or word in ("end", "passed", "leave")
        getattr(self.display, word)(*values, worker=worker.number)

    def _bury(self, worker: _Worker) -> None:
        """Keep why the cell of a dead worker has no result, and put a new one in its place."""
        cell, code = worker.cell, self.server.exit_code(worker.pid)
        assert cell is not None, "only busy workers are listened to"
        worker.pipe.close()
        if not worker.tried:
            if worker.number not in self.display.running:
                self.display.start(cell, worker=worker.number)
            at = self.display.running[worker.number].where()
            reason, outside = _cause(code)
            result = failed_result(cell, reason, outside=outside)
            log = self.store.log(result)
            atomic_write_text(log, f"{cell}\n{reason}\nlast seen at: {at}\n{_last_words(worker)}")
            self.store.write(result, None)
            self.display.end(cell, result, log, worker=worker.number)
        self.workers[self.workers.index(worker)] = self._new(worker.number)

    def _has_ended(self, worker: _Worker) -> bool:
        """Whether a worker that was told to stop is gone; what it has said until then is shown."""
        try:
            while worker.pipe.poll():
                word, *values = worker.pipe.recv()
                if word == FREE:
                    return True
                if word != BROKEN:
                    getattr(self.display, word)(*values, worker=worker.number)
        except (EOFError, OSError):
            return True
        return False

    def _signal(self, workers: list[_Worker], number: int) -> None:
        for worker in workers:
            os.kill(worker.pid, number)


def _last_words(worker: _Worker) -> str:
    """Where a worker was when it crashed; empty where it was ended otherwise."""
    worker.trace.seek(0)
    return worker.trace.read().decode(errors="replace")


_CRASHES = signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL
"""What ends a process for what it does itself."""


def _cause(code: int) -> tuple[str, bool]:
    """Why a process is no more, and whether that came from outside."""
    number = signal.SIGTERM if code == STOPPED else -code
    if number <= 0:
        return f"its process ended in the midst, with exit code {code}", False
    memory = "; the system does so when memory runs out" if number == signal.SIGKILL else ""
    name = signal.Signals(number).name
    return f"its process was ended by {name}{memory}", number not in _CRASHES
