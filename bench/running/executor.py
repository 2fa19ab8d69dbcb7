"""Many cells, one after the other: what fails is kept with its reason, and the rest goes on."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cells.cell import AnyCell, TaskSequence, is_trial
from bench.cells.result import PartAnswers
from bench.cells.state import Noting, notice_path
from bench.cells.store import Store
from bench.core.durations import NEVER, Deadline
from bench.core.errors import (
    BenchError,
    CellError,
    TakenOverError,
    TerminatedError,
    TimeUpError,
    UnfitCheckpointError,
)
from bench.core.files import atomic_write_text
from bench.core.text import printable
from bench.planning.plan import Plan
from bench.planning.plugins import place_of
from bench.running.blank import failed_result
from bench.running.estimates import Estimates
from bench.running.progress import Audience, Display
from bench.running.sharing import Shared, in_step, is_done, processes, rank
from bench.training.memory import free_memory, half_of_micro_batch, is_out_of_memory

if TYPE_CHECKING:
    from bench.cells.result import CellResult, Predictions
    from bench.running.workspace import Workspace

_AGREE_SECONDS = 60.0  # how far one process may be behind another when a cell fails


def open_cells(
    cells: Sequence[AnyCell], store: Store, submission: bool = False, retry: bool = False
) -> tuple[list[AnyCell], dict[str, list[AnyCell]]]:
    """The cells that have no finished result, or lack in it what is asked for, and, by what went
    wrong, those that have failed and would do so again; unless `retry`, that is no reason to run
    them. With `submission` a cell is open too that has not answered its test rows. A trial that
    failed has had its turn."""
    todo: list[AnyCell] = []
    failed: dict[str, list[AnyCell]] = {}
    for cell in cells:
        result = result_of(cell, store, retry)
        if result is not None and (is_trial(cell) or is_done(result, cell, store, submission)):
            continue
        if result is not None and _would_fail_again(result, cell):
            failed.setdefault(str(result["error"]), []).append(cell)
        else:
            todo.append(cell)
    return todo, failed


def result_of(cell: AnyCell, store: Store, retry: bool) -> CellResult | None:
    """A cell's result; to `retry` what failed, that is none."""
    result = store.read(cell.identity(), cell.hash)
    return None if retry and result is not None and result["status"] == "failed" else result


def _would_fail_again(result: CellResult, cell: AnyCell) -> bool:
    """Whether a cell failed for what it is, and the code that runs it is still the same."""
    code = result["provenance"].get("code")
    return result["status"] == "failed" and code is not None and code == cell.method.code


def run_in_process(
    plan: Plan,
    cells: Sequence[AnyCell],
    store: Store,
    folder: Path,
    quiet: bool = False,
    deadline: Deadline = NEVER,
    patient: bool = True,
) -> list[AnyCell]:
    """Run `cells` in this process, but for those that other processes run in the same folder, which
    are waited for if it is `patient`; each result is on disk before the next cell starts. If
    `quiet`, only failures are said. Returns what is left: what would not fit before the deadline,
    what was stopped then, and what others run.

    Raises:
        KeyboardInterrupt: stopped; finished cells are kept and the running one has a checkpoint.
        BenchError: a cell failed in some of several processes only, or a result cannot be written.
    """
    estimates = Estimates.of_plan(plan, store.all())
    with Display(cells, estimates, quiet=quiet or rank() > 0) as display:
        runner = CellRunner(plan, cells, store, folder, display, deadline)
        try:
            runner.run(cells, patient, lambda cell: deadline.fits(estimates.seconds(cell)))
        finally:
            runner.workspace.left = None
        return display.left


class CellRunner:
    """Runs cells of a plan in this process; what they have in common is made once."""

    noting: Noting  # of the cell in hand

    def __init__(
        self,
        plan: Plan,
        cells: Sequence[AnyCell],
        store: Store,
        folder: Path,
        audience: Audience,
        deadline: Deadline = NEVER,
    ) -> None:
        from bench.running.workspace import Workspace

        self.store, self.audience, self.deadline = store, audience, deadline
        self.share = any("finetuned" in cell.method.needs for cell in cells)
        self.shared = Shared(cells, store, plan.submission, audience.say, audience.passed, deadline)
        self.workspace = Workspace(
            folder,
            self._progress,
            plan.material,
            plan.submission,
            plan.keep_bytes,
            plan.tracker,
            plan.on_disk,
        )

    def run(
        self,
        cells: Sequence[AnyCell],
        patient: bool = True,
        fits: Callable[[AnyCell], bool] = lambda _: True,
    ) -> None:
        """Run these, as `run_in_process` says, but for what does not fit; unless `patient`, what
        others run is left to them and not waited for."""
        with closing(self.shared.take(cells, patient)) as mine:
            for cell in in_step(mine):
                if not fits(cell):
                    continue
                self.audience.start(cell)
                self.noting = Noting(notice_path(self.store.folder, cell.hash), str(cell))
                try:
                    _keep(cell, self.workspace, self.store, self.share, self.audience)
                except TimeUpError:
                    self.audience.leave(cell)
                except TakenOverError:
                    self.audience.say(
                        f"{cell} was taken over: this process had been silent too long"
                    )
                finally:
                    self.noting.end()

    def _progress(self, stage: str, done: int, total: int, loss: float | None) -> None:
        if self.shared.lost and processes() == 1:
            raise TakenOverError
        self.audience.progress(stage, done, total, loss)
        if rank() == 0:
            self.noting.progress(stage, done, total, loss)
        if self.deadline.left < 0:
            raise TimeUpError


def _keep(
    cell: AnyCell, workspace: Workspace, store: Store, share: bool, audience: Audience
) -> None:
    """Run a cell and keep its result, or why it has none."""
    from bench.training import checkpoint

    predictions, behind, log = None, list[PartAnswers](), None
    try:
        result, predictions, behind = _finished(cell, workspace, share, audience.say)
        json.dumps([result, predictions, behind], allow_nan=False)
    except (KeyboardInterrupt, TerminatedError, TakenOverError, TimeUpError):
        raise
    except BaseException as error:  # a hook may raise anything, and call sys.exit()
        result = failed_result(cell, _reason(error), outside=_is_outside(error))
        log = _logged(cell, error, store.log(result))
        if not _all_failed():  # the others wait for this one, in the midst of the cell
            text = f"process {rank()} failed {cell}, and not all others: {result['error']}"
            raise BenchError(f"{text}. The run ends here.") from error
    if rank() == 0:
        store.write(result, predictions, behind)
        if result["status"] == "done":  # there before its training goes; a failed one keeps that
            checkpoint.remove(workspace.checkpoint(cell))
    audience.end(cell, result, log)


def _finished(
    cell: AnyCell, workspace: Workspace, share: bool, say: Callable[[str], None]
) -> tuple[CellResult, Predictions | None, list[PartAnswers]]:
    """Run a cell; once again where its checkpoint cannot be used, or with half the micro-batch
    where memory runs out while it is trained."""
    workspace.micro_batch = None
    try:
        return _run(cell, workspace, share)
    except UnfitCheckpointError as error:
        say(f"{error}: {cell} starts anew")
    except (MemoryError, RuntimeError) as error:
        half = half_of_micro_batch(cell)
        if not is_out_of_memory(error) or half is None or processes() > 1:
            raise
        say(f"{cell}: memory ran out; once again with train.micro_batch = {half}")
        workspace.micro_batch = half
    free_memory()  # out of the handler, whose traceback holds the tensors
    return _run(cell, workspace, share)


def _run(
    cell: AnyCell, workspace: Workspace, share: bool
) -> tuple[CellResult, Predictions | None, list[PartAnswers]]:
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
    text = printable(str(error).strip().partition("\n")[0])
    if isinstance(error, BenchError | CellError):
        return text
    return f"{type(error).__name__}: {text}{place_of(error)}"


def _is_outside(error: BaseException | None) -> bool:
    """Whether a disk or a network is to blame, which may be mended before the next call."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__
    return error is not None


def keep_refusals(plan: Plan, store: Store) -> None:
    """Put the cells that cannot run among the results, with the reason, for boards to show."""
    for cell, reason in plan.spec.refusals():
        store.write(failed_result(cell, reason, "refused"), None)
