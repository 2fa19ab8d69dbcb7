"""The fault drill: a small grid under every fault that a machine has in store.

    python -m tests.faults.drill              all of it; a line of counts for each fault
    python -m tests.faults.drill kills two    some of it

What is counted: cells that are lost, finished cells that were run again, and results that differ
from those of a run that nothing happened to.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
_OWN = ("costs", "provenance")  # seconds, memory, time of day
Fault = Callable[[], None]


@dataclass(frozen=True)
class Grid:
    """A grid of the tiny world, and what it ends with where nothing happens."""

    words: tuple[str, ...]
    place: Path
    wanted: dict[str, Any]

    def folder(self) -> Path:
        """A new one for a run."""
        return Path(tempfile.mkdtemp(dir=self.place))


@dataclass
class Count:
    """What a fault has cost, over all its tries."""

    tries: int = 0
    lost: int = 0
    redone: int = 0
    different: int = 0
    odd: int = 0  # exit codes, or words, that are not what they should be

    def line(self, name: str) -> str:
        costs = f"{self.lost} lost, {self.redone} redone, {self.different} different"
        return f"{name}: {self.tries} tries, {costs}, {self.odd} other surprises"

    @property
    def clean(self) -> bool:
        return self.tries > 0 and not (self.lost or self.redone or self.different or self.odd)


def results(folder: Path) -> dict[str, Any]:
    """All that a run's cells hold, but for times; by file."""
    found = {}
    for path in sorted((folder / "cells").glob("*.json")):
        value = json.loads(path.read_text())
        found[path.name] = {k: v for k, v in value.items() if k not in _OWN}
    return found


def finished(folder: Path) -> dict[str, int]:
    """The finished cells that can be read, each with the moment it was written."""
    found = {}
    for path in (folder / "cells").glob("*-?*.json"):
        if not path.name.endswith(".rows.json"):
            with suppress(ValueError):
                if json.loads(path.read_text())["status"] == "done":
                    found[path.name] = path.stat().st_mtime_ns
    return found


def start(words: Sequence[str], folder: Path, fault: Fault = lambda: None) -> int:
    """Run the grid in a process of its own, which begins with `fault`; its number. A fork: all is
    imported."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 99
    try:
        log = os.open(folder / f"log-{os.getpid()}.txt", os.O_WRONLY | os.O_CREAT)
        os.dup2(log, 1)
        os.dup2(log, 2)
        fault()
        from bench.cli.main import main

        code = main([*words, "--out", str(folder)])
        sys.stdout.flush()
    except SystemExit as stop:
        code = int(stop.code or 0)
    finally:
        os._exit(code)


def end(pid: int, seconds: float = 120.0) -> int:
    """The exit code of a process, minus the signal that ended it; 98 where it hangs."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return 98


def settle(grid: Grid, folder: Path, count: Count, gone: Sequence[str] = ()) -> None:
    """Run the grid again after a fault, and count; `gone` are cells whose files were damaged."""
    before = {name: when for name, when in finished(folder).items() if name not in gone}
    count.odd += end(start(grid.words, folder)) != 0
    after = finished(folder)
    found = results(folder)
    count.tries += 1
    count.redone += sum(after.get(name) != when for name, when in before.items())
    count.lost += len(grid.wanted.keys() - found.keys())
    count.different += sum(found[k] != v for k, v in grid.wanted.items() if k in found)
    count.odd += any((folder / "checkpoints").iterdir()) or bool(list(folder.rglob(".*.tmp")))
    shutil.rmtree(folder)


def _at_event(number: int, act: Callable[[], None]) -> Fault:
    """`act` at the given write event: a sync, a rename or a removal, counted from 1."""
    seen = [0]

    def patch() -> None:
        for name in ("fsync", "replace", "rename", "unlink", "rmdir"):
            setattr(os, name, _counting(getattr(os, name), seen, number, act))

    return patch


def _counting(real: Any, seen: list[int], number: int, act: Callable[[], None]) -> Any:
    def called(*args: Any, **given: Any) -> Any:
        seen[0] += 1
        if seen[0] == number:
            act()
        return real(*args, **given)

    return called


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kills(grid: Grid, count: Count) -> None:
    """kill -9 at every write event of the grid."""
    number = 0
    while True:
        number += 1
        folder = grid.folder()
        code = end(start(grid.words, folder, _at_event(number, _die)))
        count.odd += code not in (0, -signal.SIGKILL)
        settle(grid, folder, count)
        if code == 0:  # it has no such event
            return


def moments(grid: Grid, count: Count) -> None:
    """kill -9 at 20 random moments of the grid."""
    folder, begun = grid.folder(), time.monotonic()
    end(start(grid.words, folder))
    whole = time.monotonic() - begun
    moment = random.Random(0)
    for _ in range(20):
        folder = grid.folder()
        pid = start(grid.words, folder)
        time.sleep(moment.random() * whole)
        os.kill(pid, signal.SIGKILL)
        end(pid)
        settle(grid, folder, count)


def _failing(number: int) -> Fault:
    """From the given write event on nothing can be written."""
    seen = [0]

    def patch() -> None:
        real = os.fsync

        def called(handle: int) -> None:
            seen[0] += 1
            if seen[0] >= number:
                raise OSError(28, "No space left on device")
            real(handle)

        os.fsync = called

    return patch


def full(grid: Grid, count: Count) -> None:
    """A disk that is full from some write on."""
    for number in range(1, 120, 9):
        folder = grid.folder()
        count.odd += end(start(grid.words, folder, _failing(number))) not in (0, 1, 2)
        settle(grid, folder, count)


def read_only(grid: Grid, count: Count) -> None:
    """A folder of finished cells on a disk that is read-only."""

    def refuse() -> None:
        def refused(*_: Any, **__: Any) -> Any:
            raise OSError(30, "Read-only file system")

        tempfile.NamedTemporaryFile = refused  # type: ignore[misc, assignment]
        os.replace = os.rename = os.mkdir = refused

    folder = grid.folder()
    end(start(grid.words, folder))
    count.odd += end(start(grid.words, folder, refuse)) != 2
    settle(grid, folder, count)


def _together(grid: Grid, count: Count, faults: Sequence[Fault]) -> None:
    """Processes on one grid at once; no cell is run by two of them."""
    folder = grid.folder()
    pids = [start(grid.words, folder, fault) for fault in faults]
    count.odd += sum(end(pid) != 0 for pid in pids)
    logs = "".join((folder / f"log-{pid}.txt").read_text() for pid in pids)
    runs = sum(" -> " in line for line in logs.splitlines() if line.startswith("["))
    count.redone += runs - len(grid.wanted) // 2
    settle(grid, folder, count)


def two(grid: Grid, count: Count) -> None:
    """Two processes on one grid."""
    for _ in range(3):
        _together(grid, count, [lambda: None] * 2)


def four(grid: Grid, count: Count) -> None:
    """Four processes on one grid."""
    for _ in range(2):
        _together(grid, count, [lambda: None] * 4)


def clocks(grid: Grid, count: Count) -> None:
    """Two processes whose clocks jump by two days while they run."""

    def jump(by: float) -> Fault:
        def patch() -> None:
            real, calls = time.time, [0]

            def called() -> float:
                calls[0] += 1
                return real() + (by if calls[0] % 2 else 0.0)

            time.time = called

        return patch

    _together(grid, count, [jump(200_000.0), jump(-200_000.0)])


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def damage(grid: Grid, count: Count) -> None:
    """Each file of a finished cell cut, and each entry of the cache or the kept weights, with
    cells that need it."""
    for name in grid.wanted:
        folder = grid.folder()
        end(start(grid.words, folder))
        _cut(folder / "cells" / name)
        settle(grid, folder, count, [name.replace(".rows.json", ".json")])
    whole = grid.folder()
    end(start(grid.words, whole))
    for entry in sorted([*whole.glob("cache/*"), *whole.glob("weights/*")]):
        folder = grid.folder()
        shutil.copytree(whole, folder, dirs_exist_ok=True)
        _cut(folder / entry.relative_to(whole))
        if entry.parent.name == "cache":  # so that cells are trained again
            shutil.rmtree(folder / "weights")
        gone = sorted(path.name for path in (folder / "cells").glob("*.json"))
        for name in gone:
            (folder / "cells" / name).unlink()
        settle(grid, folder, count, gone)


def checkpoints(grid: Grid, count: Count) -> None:
    """Stopped in training, then each file of the checkpoint cut, or lost."""
    names = ("checkpoint.json", *(f"{n}.safetensors" for n in ("weights", "optimizer", "method")))
    for name in names:
        for act in (_cut, os.unlink):
            folder = grid.folder()
            count.odd += end(start(grid.words, folder, _stopping(2))) != 143
            (made,) = (folder / "checkpoints").iterdir()
            act(made / name)
            settle(grid, folder, count)
    folder = grid.folder()
    count.odd += end(start(grid.words, folder, _stopping(2))) != 143
    settle(grid, folder, count)  # and a whole one


def _stopping(step: int, number: int = signal.SIGTERM) -> Fault:
    """A signal behind a training step."""

    def patch() -> None:
        from methods.finetune import Finetune

        def after_step(_: Any, run: Any) -> None:
            if run.step == step:
                os.kill(os.getpid(), number)

        Finetune.after_step = after_step  # type: ignore[method-assign]

    return patch


def stopped(grid: Grid, count: Count) -> None:
    """One process is stopped in the midst of a cell: another names it, takes the cell over, and
    the first, which goes on one day, leaves it alone."""

    def short() -> None:
        from bench.core import lease

        lease.SECONDS, lease._HEARTBEAT = 3.0, 0.3

    def stop() -> None:
        short()
        _stopping(2, signal.SIGSTOP)()

    folder = grid.folder()
    first = start(grid.words, folder, stop)
    os.waitpid(first, os.WUNTRACED)
    second = start(grid.words, folder, short)
    count.odd += end(second) != 0
    said = (folder / f"log-{second}.txt").read_text()
    count.odd += f"waiting for finetune x cola x seed 0: process {first} on " not in said
    os.kill(first, signal.SIGCONT)
    count.odd += end(first) != 0
    settle(grid, folder, count)


def imports(grid: Grid, count: Count) -> None:
    """SIGTERM at moments of the start, most of which is importing."""
    for moment in (0.2, 0.6, 1.2, 2.0, 3.0, 4.5):
        folder = grid.folder()
        command = [sys.executable, str(ROOT / "run_bench.py"), *grid.words, "--out", str(folder)]
        with (folder / "log.txt").open("w") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT)
            time.sleep(moment)
            process.terminate()
            # before its first line of code, Python dies of the signal itself
            count.odd += process.wait(120) not in (143, -signal.SIGTERM, 0)
        count.odd += "Traceback" in (folder / "log.txt").read_text()
        settle(grid, folder, count)


DRILLS = {
    drill.__name__: drill
    for drill in (
        *(kills, moments, full, read_only, two, four, clocks),
        *(damage, checkpoints, stopped, imports),
    )
}


def small_grid(place: Path) -> Grid:
    """The grid, run once; everything is imported by it."""
    from bench.selfcheck.world import write_world

    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    world = write_world(place / "world")
    words = (
        *("--methods", "finetune,ewc", "--tasks", "cola", "--seeds", "2", "--steps", "3"),
        *("--model", str(world.models["causal"]), "--data", str(world.data), "--batch-size", "8"),
        *("--set", "train.retention_tokens=128", "train.forget_rows=8"),
    )
    from bench.cli.main import main

    folder = place / "wanted"
    with (place / "log.txt").open("w") as log, redirect_stdout(log), redirect_stderr(log):
        assert main([*words, "--out", str(folder)]) == 0
    return Grid(words, place, results(folder))


def drill(names: Sequence[str]) -> bool:
    """Run some drills, all if none is named; whether nothing was lost, redone or different."""
    clean = True
    with tempfile.TemporaryDirectory() as place:
        grid = small_grid(Path(place))
        print(f"a grid of {len(grid.wanted) // 2} cells", flush=True)
        for name in names or DRILLS:
            count = Count()
            DRILLS[name](grid, count)
            print(count.line(name), flush=True)
            clean &= count.clean
    return clean


if __name__ == "__main__":
    sys.exit(not drill(sys.argv[1:]))
