"""One Cell -> one CellResult: load, score the untouched base, train, score again."""

from __future__ import annotations

from bench.cells.cell import Cell
from bench.cells.result import CellResult, Predictions
from bench.core.memory import reset_peak_memory
from bench.running.result_building import cell_result, predictions
from bench.running.session import CellSession
from bench.running.tracking import track, tracked
from bench.running.workspace import Workspace


def run_cell(
    cell: Cell, workspace: Workspace, share_weights: bool
) -> tuple[CellResult, Predictions]:
    """Run one cell from its base model to its result.

    `share_weights` keeps the weights that the reference method ends with in the run's cache, for
    methods that ask for them.

    Raises:
        CellError, BenchError: it cannot be finished.
        KeyboardInterrupt: stopped; the next call goes on from the checkpoint.
    """
    reset_peak_memory()
    stage = CellSession(cell, workspace)
    with tracked(stage):
        before = stage.measuring.measure(base=True)
        stage.lap("score_before")
        record = stage.learn(workspace.checkpoint(cell), share_weights)
        stage.lap("train")
        after = stage.measuring.measure(base=False)
        stage.lap("score_after")
        if workspace.submission:
            stage.measuring.answer_test_rows()
        result = cell_result(cell, stage, record, before, after)
        track(stage, result)
    return result, predictions(cell, stage, before, after)
