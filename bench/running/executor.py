"""Many cells, one after the other: what fails is kept with its reason, and the rest goes on."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cells.cell import AnyCell, TaskSequence
from bench.cells.store import Store
from bench.core.errors import BenchError, CellError, TerminatedError, UnfitCheckpointError
from bench.core.files import atomic_write_text
from bench.planning.plan import Plan
from bench.planning.plugins import place_of
from bench.running.progress import Display
from bench.scoring.glue_server import lacks_answers
from bench.training.stack import build

if TYPE_CHECKING:
    from bench.cells.result import CellResult, Predictions
    from bench.running.workspace import Workspace

_AGREE_SECONDS = 60.0  # how far one process may be behind another when a cell fails


def open_cells(
    cells: Sequence[AnyCell], store: Store, submission: bool = False
) -> tuple[list[AnyCell], list[CellResult]]:
    """The cells that have no finished result, and the results of the others; with `submission`
    a cell is open too that has not answered its test rows."""
    todo, done = [], []
    for cell in cells:
        result = store.read(cell.hash)
        missing = submission and lacks_answers(store.folder, cell)
        if result is not None and result["status"] == "done" and not missing:
            done.append(result)
        else:
            todo.append(cell)
    return todo, done


def rank() -> int:
    """Of this process among those that accelerate started; only the first, 0, says what it does
    and writes results. Failures are said by all."""
    return int(os.environ.get("RANK", "0"))


def run_in_process(
    plan: Plan, cells: Sequence[AnyCell], store: Store, folder: Path, quiet: bool = False
) -> None:
    """Run `cells` in this process; each result is on disk before the next cell starts. If `quiet`,
    only failures are said.

    Raises:
        KeyboardInterrupt: stopped; finished cells are kept and the running one has a checkpoint.
        BenchError: a cell failed in some of several processes only, or a result cannot be written.
    """
    from bench.running.result_building import failed_result
    from bench.running.workspace import Workspace
    from bench.training import checkpoint

    share = any("finetuned" in build(cell.method).needs for cell in cells)
    with Display(cells, quiet=quiet or rank() > 0) as display:
        workspace = Workspace(folder, display.progress, plan.material, plan.submission)
        for cell in cells:
            display.start(cell)
            predictions = log = None
            try:
                try:
                    result, predictions = _run(cell, workspace, share)
                except UnfitCheckpointError as error:
                    display.say(f"{error}: {cell} starts anew")
                    result, predictions = _run(cell, workspace, share)
                json.dumps([result, predictions], allow_nan=False)
            except TerminatedError:
                raise
            except (Exception, SystemExit) as error:  # a hook may call sys.exit()
                result = failed_result(cell, _reason(error))
                log = _logged(cell, error, store.log(result))
                if not _all_failed():  # the others wait for this one, in the midst of the cell
                    text = f"process {rank()} failed {cell}, and not all others: {result['error']}"
                    raise BenchError(f"{text}. The run ends here.") from error
            if rank() == 0:
                store.write(result, predictions)
                checkpoint.remove(workspace.checkpoint(cell))  # the result is there before it goes
            display.end(cell, result, log)


def _run(cell: AnyCell, workspace: Workspace, share: bool) -> tuple[CellResult, Predictions]:
    """Run a cell of either kind."""
    from bench.running.sequence import run_sequence
    from bench.running.single import run_cell

    if isinstance(cell, TaskSequence):
        return run_sequence(cell, workspace, share)
    return run_cell(cell, workspace, share)


def _logged(cell: AnyCell, error: BaseException, path: Path) -> Path:
    """Write why a cell failed into the file at `path`, or each process's own; where it is."""
    if rank():
        path = path.with_stem(f"{path.stem}-process{rank()}")
    trace = "".join(traceback.format_exception(error))
    atomic_write_text(path, f"{cell}\n{trace}")
    return path


def _all_failed() -> bool:
    """Whether all processes have come here within a minute, so that they can go on together."""
    import torch.distributed as dist

    if not dist.is_initialized():
        return True
    try:
        dist.new_group(timeout=timedelta(seconds=_AGREE_SECONDS), backend="gloo")
    except RuntimeError:
        return False
    return True


def _reason(error: BaseException) -> str:
    """Why a cell failed, in one line, with the method's line where it has a part in it."""
    text = str(error).strip().partition("\n")[0]
    if isinstance(error, BenchError | CellError):
        return text
    return f"{type(error).__name__}: {text}{place_of(error)}"


def keep_refusals(plan: Plan, store: Store) -> None:
    """Put the cells that cannot run among the results, with the reason, for boards to show."""
    from bench.running.result_building import failed_result

    for cell, reason in plan.spec.refusals():
        store.write(failed_result(cell, reason, "refused"), None)
