"""One Cell -> one CellResult: load, score the untouched base, train, score again."""

from __future__ import annotations

from bench.cells.cell import Cell
from bench.cells.measured import asked, merged
from bench.cells.result import CellResult, PartAnswers, Predictions
from bench.cells.store import Store
from bench.core.memory import reset_peak_memory
from bench.running.measuring import ON_PATH
from bench.running.part_answers import part_answers
from bench.running.result_building import cell_result, predictions
from bench.running.session import CellSession
from bench.running.sharing import unmeasured
from bench.running.tracking import track, tracked
from bench.running.workspace import Workspace


def run_cell(
    cell: Cell, workspace: Workspace, share_weights: bool
) -> tuple[CellResult, Predictions | None, list[PartAnswers]]:
    """Run one cell from its base model to its result, the answers to its dev rows and those behind
    other parts. Of one that is finished in the run's folder, and whose weights were kept, only what
    is lacking is measured, and its training stays.

    `share_weights` keeps the weights that the reference method ends with in the run's cache, for
    methods that ask for them.

    Raises:
        CellError, BenchError: it cannot be finished.
        KeyboardInterrupt: stopped; the next call goes on from the checkpoint.
    """
    reset_peak_memory()
    store = Store(workspace.folder)
    old = store.read(cell.identity(), cell.hash)
    parts = unmeasured(old, cell, store)
    if old is not None and old["status"] != "done":  # nothing was measured
        old = None
    kept = None if "probe" in parts else workspace.weights.find(cell)
    wanted = asked(cell)
    if kept is None:
        old, parts = None, list(wanted)
    needed = {*parts, *(ON_PATH if "path" in parts else ())}
    stage = CellSession(cell, workspace)
    with tracked(stage):
        before = stage.measuring.measure(True, needed)
        stage.lap("score_before")
        record = stage.learn(workspace.checkpoint(cell), share_weights, kept, "probe" in parts)
        stage.lap("train")
        after = stage.measuring.measure(False, needed)
        path = stage.measuring.path(before, after) if "path" in parts else {}
        stage.lap("score_after")
        if workspace.submission:
            stage.measuring.answer_test_rows()
        result = cell_result(cell, stage, record, before, after, path, parts)
        result = result if old is None else merged(old, result)
        track(stage, result)
    rows = predictions(cell, stage, before, after) if "scores" in parts else None
    measured = {part: on for part, on in wanted.items() if part in parts}
    behind = part_answers(stage.measuring, measured, before, after, path)
    if stage.probing:
        behind.append(stage.probing.answers(record["probe"], wanted["probe"]))
    stage.leave()
    return result, rows, behind
