"""A grid, whose cells share what they can, beside its cells run alone."""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench.speed.cells import BATCH
from bench.speed.options import add_clock_option, positive
from bench.speed.timing import alternate, compared, timed

if TYPE_CHECKING:
    from bench.cells.cell import Cell
    from bench.rows.material import Material

_NOTE = """
{model}: {methods} on {tasks}, {seeds} seeds, {steps} steps, {threads} thread(s), {rounds} rounds
of {clock} time. In the grid tokens, the base's scores and Fisher, its own answers and texts and
the fine-tuned weights are computed once; alone every cell starts with an empty cache (the time
that a new process needs to start is not counted).
  ratio   time of the grid / sum of its cells alone; goal 0.7"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The arguments of `measure`."""
    add_clock_option(parser)
    parser.add_argument("--model", default="micro", metavar="M", help="as for run_bench.py")
    parser.add_argument("--data", default="micro", metavar="D", help="as for run_bench.py")
    parser.add_argument("--tasks", default="cola,rte", metavar="A,B", help="(cola,rte)")
    methods = "finetune,ewc,recadam,lwf"
    parser.add_argument("--methods", default=methods, metavar="A,B", help=f"({methods})")
    parser.add_argument("--seeds", type=positive, default=3, metavar="N", help="(3)")
    parser.add_argument("--steps", type=positive, default=80, metavar="N", help="of a cell (80)")
    parser.set_defaults(rounds=1)


def measure(given: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Time both ways and print the table; returns its values."""
    import torch
    from tabulate import tabulate

    from bench.cells.cell import Cell
    from bench.planning.options import read
    from bench.planning.plan import make_plan
    from bench.planning.plugins import load_builtin

    torch.set_num_threads(given.threads)
    load_builtin()
    names = ("methods", "tasks", "model", "data", "seeds", "steps")
    asked = {name: getattr(given, name) for name in names}
    plan = make_plan(read({**asked, "batch_size": BATCH}))
    cells = [cell for cell in plan.spec.cells() if isinstance(cell, Cell)]
    ways = {"alone": [[cell] for cell in cells], "grid": [cells]}
    times = alternate(
        {
            name: partial(timed, partial(_run, way, plan.material), given.clock)
            for name, way in ways.items()
        },
        given.rounds,
    )
    # `compared` gives speeds; the other way round they are times
    found = compared(times["alone"], times["grid"])
    seconds = [statistics.median(times[name]) for name in ways]
    heads = ["cells", "alone s", "grid s", "ratio", "low", "high"]
    formats = ("", ".1f", ".1f", ".2f", ".2f", ".2f")
    print(tabulate([[len(cells), *seconds, *found.values()]], heads, floatfmt=formats))
    print(_NOTE.format(**vars(given)))
    return {"grid / its cells alone": found}


def _run(folders: Iterable[list[Cell]], material: Material) -> None:
    """Run lists of cells, each in an empty folder of its own."""
    from bench.running.single import run_cell
    from bench.running.workspace import Workspace

    for cells in folders:
        with tempfile.TemporaryDirectory() as folder:
            workspace = Workspace(Path(folder), lambda *progress: None, material)
            for cell in cells:
                run_cell(cell, workspace, share_weights=len(cells) > 1)
