"""A grid on two workers beside one process, and how soon a worker begins."""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from bench.core.errors import BenchError
from bench.speed.options import positive
from bench.speed.timing import alternate, compared, timed

_PROGRAM = "import sys; from bench.cli.main import main; sys.exit(main(sys.argv[1:]))"
_CELL = "from bench.running import executor, sequence, single, worker"
_WAYS = {"one process, one thread": (1, 1), "one process, all": (1, None), "workers": (None, 1)}

_NOTE = """
{model}: {methods} on {tasks}, {seeds} seeds, {steps} steps; {jobs} workers of one thread beside one
process with one thread, or with {jobs}; whole commands in empty folders, {rounds} rounds of wall
time. Goals: 0.6 of one thread, below 1 of all; a worker's cell begins 0.1 s after it is asked for.
A fresh process imports what a worker has from the process that it was forked from."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The arguments of `measure`."""
    parser.add_argument("--model", default="micro", metavar="M", help="as for run_bench.py")
    parser.add_argument("--data", default="micro", metavar="D", help="as for run_bench.py")
    parser.add_argument("--methods", default="lwf,recadam", metavar="A,B", help="(lwf,recadam)")
    parser.add_argument("--tasks", default="cola,rte", metavar="A,B", help="(cola,rte)")
    parser.add_argument("--seeds", type=positive, default=3, metavar="N", help="(3)")
    parser.add_argument("--steps", type=positive, metavar="N", help="of a cell (one epoch)")
    parser.add_argument("--jobs", type=positive, default=2, metavar="N", help="workers (2)")
    parser.set_defaults(rounds=1)


def measure(given: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Time all ways and print the table; returns its values."""
    from tabulate import tabulate

    ways = {
        name: partial(
            timed, partial(_run, given, jobs or given.jobs, threads or given.jobs), "wall"
        )
        for name, (jobs, threads) in _WAYS.items()
    }
    times = alternate(ways, given.rounds)
    one, every, workers = (times[name] for name in _WAYS)
    found = {"one thread": compared(one, workers), "all threads": compared(every, workers)}
    rows = [[name, statistics.median(seconds)] for name, seconds in times.items()]
    print(tabulate(rows, ["way", "s"], floatfmt=("", ".1f")))
    rows = [[f"workers / {name}", *values.values()] for name, values in found.items()]
    print(tabulate(rows, ["", "ratio", "low", "high"], floatfmt=("", ".2f", ".2f", ".2f")))
    starts = {"a worker's cell begins": _forked(given), "a fresh process imports": _fresh()}
    print(tabulate(starts.items(), ["start", "s"], floatfmt=("", ".3f")))
    print(_NOTE.format(**vars(given)))
    ready = {name: {"seconds": seconds} for name, seconds in starts.items()}
    return {f"workers / {name}": values for name, values in found.items()} | ready


def _words(given: argparse.Namespace, folder: str) -> list[str]:
    words = ["--methods", given.methods, "--tasks", given.tasks, "--seeds", str(given.seeds)]
    words += ["--model", given.model, "--data", given.data, "--out", folder]
    return words + (["--steps", str(given.steps)] if given.steps else [])


def _run(given: argparse.Namespace, jobs: int, threads: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        words = [*_words(given, folder), "--jobs", str(jobs)]
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, *words],
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise BenchError(f"the run fails: {done.stderr.strip().splitlines()[-1]}")


def _forked(given: argparse.Namespace, tries: int = 5) -> float:
    """Median seconds from asking for a worker to its word that a cell begins."""
    from bench.planning.options import read
    from bench.running.job import planned
    from bench.running.pool import Server

    found = []
    with tempfile.TemporaryDirectory() as folder:
        names = ("methods", "tasks", "model", "data", "seeds", "steps", "jobs")
        asked = {name: getattr(given, name) for name in names}
        job = planned(read({**asked, "out": folder}))
        server = Server(job)
        for _ in range(1 + tries):  # the first waits for the imports
            start = time.perf_counter()
            pid, pipe, _ = server.fork(None)
            pipe.send((0, False))
            pipe.recv()
            found.append(time.perf_counter() - start)
            os.kill(pid, signal.SIGKILL)
            server.exit_code(pid)  # waited for, it is dead to the next, which takes its cell over
            pipe.close()
        server.close()
    return statistics.median(found[1:])


def _fresh() -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", _CELL], check=True, cwd=Path(__file__).parents[2])
    return time.perf_counter() - start
