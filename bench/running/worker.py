"""A process that runs cells for another one, and tells it how they go."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cells.cell import AnyCell
from bench.cells.store import Store
from bench.core.errors import BenchError, TerminatedError
from bench.core.stops import catch_stops
from bench.running.executor import CellRunner

if TYPE_CHECKING:
    from bench.cells.result import CellResult
    from bench.running.job import Job

FREE, BROKEN = "free", "broken"
_SAY_SECONDS = 0.1  # between two words on how far a cell is
STOPPED = 143


def work(job: Job, pipe: Connection) -> int:
    """Run the cells that come as (place in `job.todo`, whether to wait for it) until the pipe is
    closed; the exit code.

    What goes back is a method's name of `Audience` with its arguments, FREE behind each cell, or
    BROKEN and why the whole run must end.
    """
    catch_stops()
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        teller = Teller(pipe)
        store = Store(job.folder)
        runner = CellRunner(job.plan, job.todo, store, job.folder, teller, job.deadline)
        while True:
            place, patient = pipe.recv()
            runner.run([job.todo[place]], patient)
            teller.send(FREE)
    except BenchError as error:
        pipe.send((BROKEN, str(error)))
    except EOFError:
        return 0
    except (KeyboardInterrupt, TerminatedError):
        return STOPPED
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 1


@dataclass
class Teller:
    """An `Audience` at the other end of a pipe."""

    pipe: Connection
    stage: str = ""
    said: float = 0.0  # when it was last told how far the cell is
    alone: bool = False

    def send(self, *words: object) -> None:
        """Tell it; where nobody is there any more, stop with a checkpoint, as by SIGTERM."""
        try:
            self.pipe.send(words)
        except OSError:
            if not self.alone:
                self.alone = True
                os.kill(os.getpid(), signal.SIGTERM)

    def start(self, cell: AnyCell) -> None:
        """See `Audience`."""
        self.send("start", cell)

    def progress(self, stage: str, done: int, total: int, loss: float | None) -> None:
        """See `Audience`; not every step is told."""
        now = time.monotonic()
        if stage != self.stage or now - self.said > _SAY_SECONDS:
            self.stage, self.said = stage, now
            self.send("progress", stage, done, total, loss)

    def say(self, text: str) -> None:
        """See `Audience`."""
        self.send("say", text)

    def passed(self, cell: AnyCell, result: CellResult) -> None:
        """See `Audience`."""
        self.send("passed", cell, result)

    def end(self, cell: AnyCell, result: CellResult, log: Path | None = None) -> None:
        """See `Audience`."""
        self.send("end", cell, result, log)

    def leave(self, cell: AnyCell) -> None:
        """See `Audience`."""
        self.send("leave", cell)
