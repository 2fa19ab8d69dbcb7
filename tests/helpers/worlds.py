"""What tests ask of the tiny world of `run_bench.py selfcheck` besides."""

from __future__ import annotations

from pathlib import Path

from bench.cells.result import CellResult
from bench.planning.plan import Plan
from bench.running.single import run_cell
from bench.selfcheck.world import cells_of, workspace_for
from bench.training.stack import build


def results(plan: Plan, folder: Path) -> list[CellResult]:
    """The results of all cells, run one after the other."""
    workspace = workspace_for(plan, folder)
    share = any("finetuned" in build(method).needs for method in plan.spec.methods)
    return [run_cell(cell, workspace, share)[0] for cell in cells_of(plan)]
