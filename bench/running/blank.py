"""Results of cells of which nothing was measured. What makes the others imports torch."""

from __future__ import annotations

from typing import Literal

from bench.cells.cell import AnyCell
from bench.cells.result import SCHEMA_VERSION, CellResult
from bench.core.provenance import provenance


def blank_result(cell: AnyCell) -> CellResult:
    """A result of which nothing is known yet but the cell."""
    found: CellResult = {
        "schema_version": SCHEMA_VERSION,
        "status": "done",
        "error": None,
        "hash": cell.hash,
        "cell": cell.identity(),
        "labels": cell.labels,
        "generated": cell.generated,
        "scores": None,
        "chance": None,
        "sequence": None,
        "flips": None,
        "retention": None,
        "forgotten": None,
        "facts": None,
        "ceiling": None,
        "lm_eval": None,
        "retain_tasks": None,
        "path": None,
        "probe": None,
        "measured": {},
        "earlier": [],
        "elicited": None,
        "drift": None,
        "curve": [],
        "costs": None,
        "data": {},
        "provenance": dict(provenance()),
    }
    if (tuned := cell.method.tuned) is not None:
        found["tuning"] = {
            "chosen": tuned.chosen,
            "failed": tuned.failed,
            "best": tuned.best,
            "worst": tuned.worst,
            "seconds": tuned.seconds,
        }
    return found


def failed_result(
    cell: AnyCell,
    reason: str,
    status: Literal["failed", "refused"] = "failed",
    outside: bool = False,
) -> CellResult:
    """The result of a cell that could not be finished, or was not begun; `outside`: what is to
    blame is no part of it."""
    found = blank_result(cell)
    found["provenance"]["code"] = None if outside else cell.method.code or None
    return {**found, "status": status, "error": reason}
