"""How far a folder has come: what is done there, what runs and where, what waits and what not."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, TypedDict

from bench.cells.cell import AnyCell
from bench.cells.reading import DamagedError, parsed
from bench.cells.result import CellResult
from bench.cells.store import Store
from bench.core.files import atomic_write_text
from bench.core.lease import Lease
from bench.core.shapes import check_of

PLAN = "plan.json"
_SAY_SECONDS = 2.0


class Planned(TypedDict):
    """A cell of the last command in a folder. Written, in a list, as `plan.json`."""

    hash: str
    cell: str  # what it is called
    method: str  # as boards call it
    task: str


class Notice(TypedDict):
    """Where a cell is that runs, as its process has last said. Written as `locks/HASH.json`."""

    cell: str
    stage: str
    done: int
    total: int
    loss: float | None
    seconds: float  # since it began


def where(stage: str, done: int, total: int, loss: float | None) -> str:
    """`train 12/30, loss 0.5129`."""
    shown = "" if loss is None else f", loss {loss:.4f}"
    count = "" if total <= 1 else f" {done}/{total}"
    return f"{stage}{count}{shown}"


@dataclass(frozen=True)
class Running:
    """A cell that a process has in hand."""

    name: str
    holder: str
    notice: Notice | None  # None where nothing was said yet
    left: float | None  # seconds, by cells of its method and task


@dataclass(frozen=True)
class State:
    """All cells of a folder, as it is now."""

    results: list[CellResult]
    set_aside: list[str]
    running: list[Running]
    stopped: list[str]  # with a checkpoint, and no process
    waiting: list[str]  # of the last command, neither begun nor ended
    left: float | None  # seconds until the plan is done; None: nobody knows

    @property
    def is_over(self) -> bool:
        """Whether nothing runs, and nothing that was planned is left."""
        return not (self.running or self.stopped or self.waiting)


def keep_plan(folder: Path, cells: Iterable[AnyCell]) -> None:
    """Write down what is to be run, for `state_of`."""
    planned = [
        Planned(hash=cell.hash, cell=str(cell), method=cell.label, task=cell.name) for cell in cells
    ]
    if planned != _planned(folder / PLAN):
        atomic_write_text(folder / PLAN, json.dumps(planned, indent=0))


def lease_path(folder: Path, hash: str) -> Path:
    """The lease on a cell that runs."""
    return folder / "locks" / f"{hash[:24]}.lock"


def notice_path(folder: Path, hash: str) -> Path:
    """Where the process that runs a cell says how far it is."""
    return lease_path(folder, hash).with_suffix(".json")


def state_of(folder: Path, leases: dict[str, Lease]) -> State:
    """Look at a folder. `leases` is kept from one look to the next: it knows who has been silent.

    Raises:
        BenchError: a newer version of this program wrote a result.
    """
    store = Store(folder)
    results = store.all()
    plan = {cell["hash"][:24]: cell for cell in _planned(folder / PLAN)}
    ended = {result["hash"][:24]: result["status"] for result in results}
    running = {}
    for path in sorted(folder.glob("locks/*.lock")):
        lease = leases.setdefault(path.stem, Lease(path))
        if lease.is_alive():
            running[path.stem] = lease.holder()
    begun = {path.name for path in folder.glob("checkpoints/*") if path.name.isalnum()}
    stopped = begun - ended.keys() - running.keys()
    waiting = plan.keys() - ended.keys() - running.keys() - stopped
    times = _times(results)
    found = [_running(folder, hash, holder, plan, times) for hash, holder in running.items()]
    rest = [times.get(_kind(plan[hash])) for hash in (*waiting, *stopped) if hash in plan]
    parts = [*rest, *(one.left for one in found)]
    known = [part for part in parts if part is not None]
    whole = fmean(known) * len(parts) / max(1, len(found)) if known else None
    return State(
        results,
        store.set_aside,
        found,
        [plan[h]["cell"] if h in plan else f"cell {h[:12]}" for h in sorted(stopped)],
        [cell["cell"] for hash, cell in plan.items() if hash in waiting],
        whole,
    )


def _running(
    folder: Path,
    hash: str,
    holder: str,
    plan: Mapping[str, Planned],
    times: Mapping[tuple[str, str], float],
) -> Running:
    notice, cell = notice_of(folder, hash), plan.get(hash)
    name = cell["cell"] if cell else notice["cell"] if notice else f"cell {hash[:12]}"
    whole = times.get(_kind(cell)) if cell else None
    if whole is None and notice and notice["stage"] == "train" and notice["done"]:
        whole = notice["seconds"] * notice["total"] / notice["done"]
    if notice:  # it may be in the midst of what is not counted
        silent = _age(notice_path(folder, hash))
        notice = {**notice, "seconds": notice["seconds"] + silent}
    spent = notice["seconds"] if notice else 0.0
    return Running(name, holder, notice, None if whole is None else max(0.0, whole - spent))


def _age(path: Path) -> float:
    """Seconds since a file was written; 0 where it is gone, or another machine's clock is ahead."""
    try:
        return max(0.0, time.time() - path.stat().st_mtime)
    except OSError:
        return 0.0


def _times(results: Iterable[CellResult]) -> dict[tuple[str, str], float]:
    """Mean seconds of the finished cells of each method and task."""
    found: dict[tuple[str, str], list[float]] = {}
    for result in results:
        if result["costs"] is not None:
            key = result["labels"]["method"], result["cell"]["task"]
            found.setdefault(key, []).append(result["costs"]["total"])
    return {key: fmean(seconds) for key, seconds in found.items()}


def _kind(cell: Planned) -> tuple[str, str]:
    return cell["method"], cell["task"]


def _planned(path: Path) -> list[Planned]:
    """The cells of a plan; none where there is no file that can be read."""
    found: list[Planned] = _read(path, list[Planned]) or []
    return found


def notice_of(folder: Path, hash: str) -> Notice | None:
    """What was last said of a cell that runs, or did when its process was killed."""
    found: Notice | None = _read(notice_path(folder, hash), Notice)
    return found


def _read(path: Path, kind: Any) -> Any:
    """The value in a file; None where it is half written, or another's."""
    try:
        value = parsed(path)
    except DamagedError:
        return None
    return None if check_of(kind)(value) else value


@dataclass
class Noting:
    """Says where a cell is, every other second, in a file that a killed process may leave."""

    path: Path
    cell: str
    started: float = field(default_factory=time.monotonic)
    said: float = -_SAY_SECONDS
    stage: str = ""

    def progress(self, stage: str, done: int, total: int, loss: float | None) -> None:
        """The cell is at `done` of `total` of `stage`."""
        now = time.monotonic()
        if stage == self.stage and now - self.said < _SAY_SECONDS:
            return
        self.stage, self.said = stage, now
        notice = Notice(
            cell=self.cell,
            stage=stage,
            done=done,
            total=total,
            loss=loss,
            seconds=now - self.started,
        )
        with contextlib.suppress(OSError):  # a full disk ends no cell for this
            self.path.write_text(json.dumps(notice), encoding="utf-8")

    def end(self) -> None:
        """Nothing more is said."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)
