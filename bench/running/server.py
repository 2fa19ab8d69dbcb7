"""A process that has imported everything once, and forks a worker within milliseconds.

It is started by `bench.running.pool`, in a session of its own: Ctrl-C in a terminal reaches the
first process alone, which tells each worker once.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle
from typing import TYPE_CHECKING

from bench.planning.plugins import load_all
from bench.running.job import unknown_method

if TYPE_CHECKING:
    from bench.running.job import Job

FORK, END = "fork", "end"


def main(handle: int) -> None:
    """Serve the process at the other end of a socket, until it is gone.

    What comes is first the files of plug-ins, then the job, whose pickle may need them, then
    requests: (FORK, gpu), a pipe, which a worker gets, and a file for its last words if it crashes,
    answered by its process id; (END, that) answered by its exit code, negative of a signal. Where
    the job needs what only the other process knows, each request for a worker is answered by a line
    that says so.
    """
    faulthandler.enable(all_threads=False)
    # the other process ends this one; a worker lets signals in once it can act on them
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    with contextlib.suppress(EOFError, ConnectionError):
        _serve(Connection(handle))


def _serve(control: Connection) -> None:
    load_all(*control.recv())
    job: Job = control.recv()
    refusal = unknown_method(job, f"--jobs {job.workers}")
    if not refusal:
        _import(job)
    while True:
        word, value = control.recv()
        if word == END:
            control.send(os.waitstatus_to_exitcode(os.waitpid(value, 0)[1]))
            continue
        pipe, trace = recv_handle(control), recv_handle(control)
        if refusal:
            control.send(refusal)
            continue
        pid = os.fork()
        if pid == 0:
            control.close()
            _become_worker(job, Connection(pipe), value, trace)
        os.close(pipe)
        os.close(trace)
        control.send(pid)


def _import(job: Job) -> None:
    """All that a cell imports, and what of torch is to be said before it is used."""
    import torch

    from bench.core.machine import cores, gpus
    from bench.running import sequence, single, worker  # noqa: F401

    torch.set_num_threads(max(1, cores() // job.workers) if gpus() else 1)


def _become_worker(job: Job, pipe: Connection, gpu: str | None, trace: int) -> None:
    """Work, and end without going back to where this process was forked."""
    from bench.running.worker import work

    code = 1
    try:
        faulthandler.enable(trace)
        if gpu is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = gpu
        code = work(job, pipe)
    finally:
        os._exit(code)
