"""A run's first start and its second, up to the first training step."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError
from bench.speed.cells import one_cell
from bench.speed.options import add_cell_options

_NOTE = """
{model} on {task}, {rounds} rounds, a new process for each start; medians of processor seconds (of
all threads). The first start reads and tokenises the rows, samples the retention text and scores
the untouched model; the second finds all that but the rows in the run's folder. Loading is what
both begin with: imports, the tokenizer and the network. Goal for SST-2: 5."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The arguments of `measure`."""
    add_cell_options(parser)


def measure(given: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Start a run twice in every round, print the table and return the ratios."""
    from tabulate import tabulate

    found: dict[str, list[float]] = {"loading alone": [], "first start": [], "second start": []}
    for number in range(given.rounds):
        with tempfile.TemporaryDirectory() as folder:
            for name, times in found.items():
                times.append(_child(given, "" if name == "loading alone" else folder))
        print(f"round {number + 1} of {given.rounds}", file=sys.stderr)
    median = {name: statistics.median(times) for name, times in found.items()}
    loading, first, second = median.values()
    ratios = {"whole": first / second, "without loading": (first - loading) / (second - loading)}
    rows = [[name, seconds, seconds - loading] for name, seconds in median.items()]
    rows.append(["first / second", *ratios.values()])
    print(tabulate(rows, ["start", "CPU s", "without loading"], floatfmt=("", ".1f", ".1f")))
    print(_NOTE.format(**vars(given)))
    return {"start: first / second": ratios}


def _child(given: argparse.Namespace, folder: str) -> float:
    """Processor seconds of a process that starts the run in a folder; in none, that loads only."""
    words = [given.model, given.data, given.task, str(given.threads), folder]
    command = [sys.executable, "-m", "bench.speed.start", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"the start of {given.task} fails: {done.stderr.strip().splitlines()[-1]}")
    return float(done.stdout)


def _start(model: str, data: str, task: str, threads: str, folder: str) -> None:
    """Print this process's seconds when the first step is done, or the network loaded."""
    import torch

    torch.set_num_threads(int(threads))
    if folder:
        from bench.running.single import run_cell

        wanted = argparse.Namespace(model=model, data=data, task=task)
        cell, workspace = one_cell(wanted, Path(folder))
        workspace.progress = _until_trained
        run_cell(cell, workspace, share_weights=False)
    else:
        from bench.network.loading import load, load_tokenizer
        from bench.planning.model_info import describe
        from bench.planning.plugins import load_builtin

        load_builtin()  # which embedded models there are
        info = describe(model)
        load_tokenizer(info)
        load(info, labels=2, head_seed=0)
    print(time.process_time())


def _until_trained(what: str, *_: Any) -> None:
    if what == "train":
        print(time.process_time())
        sys.exit()


if __name__ == "__main__":
    _start(*sys.argv[1:])
