"""Which cells this process runs, where several processes and machines share a folder."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.cells.cell import AnyCell, Cell
from bench.cells.measured import asked, at, missing
from bench.cells.state import lease_path
from bench.cells.store import Store
from bench.cells.weights import Weights
from bench.core.durations import NEVER, Deadline
from bench.core.lease import Lease
from bench.scoring.glue_server import lacks_answers

if TYPE_CHECKING:
    from bench.cells.result import CellResult

_LOOK_SECONDS = 2.0  # between two looks at what others run
_SAY_SECONDS = 60.0


def rank() -> int:
    """Of this process among those that accelerate started; only the first, 0, says what it does
    and writes results. Failures are said by all."""
    return int(os.environ.get("RANK", "0"))


def processes() -> int:
    """How many accelerate started for this run."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def local_processes() -> int:
    """How many of them run on this machine, and have its memory in common."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def unmeasured(result: CellResult | None, cell: AnyCell, store: Store) -> list[str]:
    """The parts of a cell that are asked for and not in its result; all where answers are lost."""
    wanted = asked(cell)
    if result is None or result["status"] != "done":
        return list(wanted)
    parts = missing(result, wanted)
    scored = at(result, "scores", wanted["scores"])
    return parts if scored is None or store.has_answers(scored) else list(wanted)


def is_done(result: CellResult | None, cell: AnyCell, store: Store, submission: bool) -> bool:
    """Whether a cell is finished, what is asked for is measured and its answers are there; with
    `submission`, those to its test rows, too. No cell is trained again for the sake of forgetting
    tasks that nobody named."""
    parts = unmeasured(result, cell, store)
    if parts == ["forgotten"] and isinstance(cell, Cell) and cell.forget.mixed:
        parts = parts if Weights(store.folder).holds(cell) else []
    return not parts and not (submission and lacks_answers(store.folder, cell))


@dataclass
class Shared:
    """The cells of a run, of which each process that works in its folder takes what is left."""

    cells: Sequence[AnyCell]
    store: Store
    submission: bool
    say: Callable[[str], None]
    passed: Callable[[AnyCell, CellResult], None]  # told of each cell that another process ended
    deadline: Deadline = NEVER  # at which nobody is waited for any more
    lease: Lease | None = None  # on the cell in hand
    _leases: dict[str, Lease] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._before = {cell.hash: self._read(cell) for cell in self.cells}

    def take(self, cells: Sequence[AnyCell], patient: bool = True) -> Generator[AnyCell | None]:
        """Of all cells these, one by one, each leased while it is in hand. Those that others run
        are left to them; if `patient`, they are waited for in the end, and None is given at each
        look at them.

        A result that is newer than this object, also of a failure, is another process's, and is
        passed.
        """
        left, said = list(cells), 0.0
        while left:
            theirs = []
            for cell in left:
                lease = self._lease(cell)
                if not lease.take():
                    theirs.append(cell)
                    continue
                try:
                    result = self._read(cell)
                    if result is not None and self._is_theirs(cell, result):
                        self.passed(cell, result)
                        continue
                    self.lease = lease
                    yield cell
                    if lease.lost:
                        theirs.append(cell)
                finally:
                    self.lease = None
                    lease.drop()
            left = theirs if patient and self.deadline.left > 0 else []
            if left:
                said = self._wait_for(left, said)
                yield None

    @property
    def lost(self) -> bool:
        """Whether another process has taken over the cell in hand."""
        return self.lease is not None and self.lease.lost

    def _wait_for(self, cells: Sequence[AnyCell], said: float) -> float:
        """Wait for a moment; says for whom, unless that was said a minute ago. When it was said."""
        now = time.monotonic()
        holder = self._lease(cells[0]).holder()
        if holder and (not said or now - said > _SAY_SECONDS):
            more = f" and {len(cells) - 1} more" if len(cells) > 1 else ""
            self.say(f"waiting for {cells[0]}{more}: {holder} runs it")
            said = now
        time.sleep(_LOOK_SECONDS if holder else 0.1)
        return said

    def _lease(self, cell: AnyCell) -> Lease:
        # kept from one look to the next: it knows when its holder last gave a sign of life
        if cell.hash not in self._leases:
            self._leases[cell.hash] = Lease(lease_path(self.store.folder, cell.hash))
        return self._leases[cell.hash]

    def _read(self, cell: AnyCell) -> CellResult | None:
        return self.store.read(cell.identity(), cell.hash)

    def _is_theirs(self, cell: AnyCell, result: CellResult) -> bool:
        """Whether another process has ended the cell, or failed it since this one looked first."""
        failed = result["status"] != "done" and result != self._before[cell.hash]
        return failed or is_done(result, cell, self.store, self.submission)


def in_step(cells: Iterator[AnyCell | None]) -> Iterator[AnyCell]:
    """The cells that the first of accelerate's processes takes, in all of them alike."""
    if processes() == 1:
        yield from (cell for cell in cells if cell is not None)
        return
    import torch
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list, parse_flag_from_env

    on_cpu = parse_flag_from_env("ACCELERATE_USE_CPU") or not torch.accelerator.is_available()
    PartialState(cpu=on_cpu)  # not told, it would think on a CPU that each process is alone
    while True:
        word: list[tuple[bool, AnyCell | None]] = [(False, None)]
        if rank() == 0:
            word = [next(((True, cell) for cell in cells), (False, None))]
        broadcast_object_list(word)
        goes_on, cell = word[0]
        if not goes_on:
            PartialState().destroy_process_group()  # left to the exit, its threads may abort it
            return
        if cell is not None:
            yield cell
