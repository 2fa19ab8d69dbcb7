"""What every method costs beside plain fine-tuning: speed, preparation and memory."""

from __future__ import annotations

import argparse
import statistics
import tempfile
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cells.cell import REFERENCE
from bench.speed.cells import BATCH, make_cells
from bench.speed.options import add_cell_options, positive
from bench.speed.timing import alternate, compared, growth_mib

if TYPE_CHECKING:
    from bench.cells.cell import Cell
    from bench.running.workspace import Workspace

_NOTE = """
{model}, {task}, {steps} steps of {batch} examples on {threads} thread(s), {rounds} rounds; medians.
  x finetune   steps per second / those of finetune, with the extremes of the rounds
  once s       seconds before the first step and after the last, beyond finetune's; nothing that
               the method needs is in a cache
  peak MiB     how far the memory in use rises above that of the loaded model and data"""


@dataclass(frozen=True)
class Cost:
    """What one training took."""

    train: float  # seconds
    once: float  # seconds of preparing and finishing
    peak_mib: float | None


def add_options(parser: argparse.ArgumentParser) -> None:
    """The arguments of `measure`."""
    add_cell_options(parser)
    about = "comma-separated, as for run_bench.py (all)"
    parser.add_argument("--methods", metavar="A,B", help=about)
    parser.add_argument("--steps", type=positive, default=40, metavar="N", help="per round (40)")


def measure(given: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Train with each method in every round and print the table; returns its values by method,
    or why the model refuses the method."""
    import torch

    from bench.cells.cell import Cell
    from bench.planning.plugins import load_builtin
    from bench.training.method import METHODS

    torch.set_num_threads(given.threads)
    load_builtin()
    asked = given.methods.split(",") if given.methods else METHODS.names()
    with tempfile.TemporaryDirectory() as folder:
        size = {"steps": given.steps, "max_train": given.steps * BATCH, "max_eval": 1}
        spec, workspace = make_cells(given, [REFERENCE, *asked], Path(folder), **size)
        cells = {cell.label: cell for cell in spec.cells() if isinstance(cell, Cell)}
        contenders = {name: partial(_train, cell, workspace) for name, cell in cells.items()}
        found: dict[str, dict[str, Any]] = _compared(alternate(contenders, given.rounds))
    found |= {cell.label: {"refused": reason} for cell, reason in spec.refusals()}
    _print_table(given, found)
    return found


def _train(cell: Cell, workspace: Workspace) -> Cost:
    """Train one cell, with a cache of its own, so that it prepares everything itself."""
    from bench.running.session import CellSession
    from bench.training.loop import train

    with tempfile.TemporaryDirectory(dir=workspace.folder) as folder:
        stage = CellSession(cell, replace(workspace, folder=Path(folder)))
        records: list[Any] = []
        peak = growth_mib(lambda: records.append(train(stage.run, stage.method, None)))
    (record,) = records
    return Cost(record["train"], record["prepare"] + record["finish"], peak)


def _compared(costs: dict[str, list[Cost]]) -> dict[str, dict[str, Any]]:
    """Medians over the rounds, and the ratios to the reference in the same round."""
    plain = costs[REFERENCE]
    found: dict[str, dict[str, Any]] = {}
    for name, mine in costs.items():
        extra = [one.once - other.once for one, other in zip(mine, plain, strict=True)]
        peaks = [one.peak_mib for one in mine if one.peak_mib is not None]
        found[name] = {
            **compared([one.train for one in mine], [one.train for one in plain]),
            "train_seconds": statistics.median(one.train for one in mine),
            "once_seconds": statistics.median(extra),
            "peak_mib": statistics.median(peaks) if peaks else None,
        }
    return found


def _print_table(given: argparse.Namespace, found: dict[str, dict[str, Any]]) -> None:
    from tabulate import tabulate

    rows = [
        [
            name,
            given.steps / one["train_seconds"],
            *(one[key] for key in ("ratio", "low", "high", "once_seconds", "peak_mib")),
        ]
        for name, one in found.items()
        if "refused" not in one
    ]
    heads = ["method", "steps/s", "x finetune", "low", "high", "once s", "peak MiB"]
    formats = ("", ".1f", ".2f", ".2f", ".2f", ".1f", ".0f")
    print(tabulate(rows, heads, floatfmt=formats, missingval="–"))
    for name, one in found.items():
        if "refused" in one:
            print(f"{name}: {one['refused']}")
    print(_NOTE.format(**vars(given), batch=BATCH))
