"""The tiny world of `run_bench.py selfcheck`, and what tests ask of it besides."""

from __future__ import annotations

from pathlib import Path

from bench.plan import Plan
from bench.results import CellResult
from bench.runner import run_cell
from bench.selfcheck.world import (
    cells_of,
    only_cell,
    plan_for,
    stage_for,
    trained,
    weights,
    workspace_for,
    write_causal,
    write_data,
    write_encoder,
    write_text,
)

__all__ = [
    "only_cell",
    "plan_for",
    "results",
    "stage_for",
    "trained",
    "weights",
    "workspace_for",
    "write_causal",
    "write_data",
    "write_encoder",
    "write_text",
]


def results(plan: Plan, folder: Path) -> list[CellResult]:
    """The results of all cells, run one after the other."""
    workspace = workspace_for(plan, folder)
    share = any("finetuned" in method.needs for method in plan.spec.methods)
    return [run_cell(cell, workspace, share)[0] for cell in cells_of(plan)]
