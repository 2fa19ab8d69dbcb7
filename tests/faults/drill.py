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
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.faults.grid import Count, Fault, Grid, end, settle, small_grid, start, stopping
from tests.faults.together import clocks, eight, four, machines, stopped, two

ROOT = Path(__file__).parents[2]


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


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def damage(grid: Grid, count: Count) -> None:
    """Each file of a finished cell cut, and each entry of the cache or the kept weights, with
    cells that need it."""
    for name in grid.wanted:
        folder = grid.folder()
        end(start(grid.words, folder))
        _cut(folder / "cells" / name)
        settle(grid, folder, count, [f"{name.partition('.')[0]}.json"])
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
            count.odd += end(start(grid.words, folder, stopping(2))) != 143
            (made,) = (folder / "checkpoints").iterdir()
            act(made / name)
            settle(grid, folder, count)
    folder = grid.folder()
    count.odd += end(start(grid.words, folder, stopping(2))) != 143
    settle(grid, folder, count)  # and a whole one


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


def twice(grid: Grid, count: Count) -> None:
    """SIGTERM or Ctrl-C in a step, and again within the second: the checkpoint is of that step, and
    the exit code as of one."""
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        for seconds in (0.0, 0.02, 0.1, 0.3):
            folder = grid.folder()
            pid = start(grid.words, folder, _stopping_twice(number, seconds))
            count.odd += end(pid) != code
            count.odd += "Traceback" in (folder / f"log-{pid}.txt").read_text()
            made = list(folder.glob("checkpoints/*/checkpoint.json"))
            count.odd += [json.loads(path.read_text())["step"] for path in made] != [2]
            settle(grid, folder, count)


def _stopping_twice(number: int, seconds: float) -> Fault:
    def patch() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # the shell may ignore it
        stopping(2, number)()
        again = threading.Timer(seconds, os.kill, (os.getpid(), number))
        kill = os.kill

        def killing(*words: int) -> None:
            again.start()
            kill(*words)

        os.kill = killing

    return patch


DRILLS = {
    drill.__name__: drill
    for drill in (
        *(kills, moments, full, read_only, two, four, eight, machines, clocks),
        *(damage, checkpoints, stopped, imports, twice),
    )
}


def drill(names: Sequence[str]) -> bool:
    """Run some drills, all if none is named; whether nothing was lost, redone or different."""
    clean = True
    with tempfile.TemporaryDirectory() as place:
        grid = small_grid(Path(place))
        print(f"a grid of {grid.cells} cells", flush=True)
        for name in names or DRILLS:
            count = Count()
            DRILLS[name](grid, count)
            print(count.line(name), flush=True)
            clean &= count.clean
    return clean


if __name__ == "__main__":
    sys.exit(not drill(sys.argv[1:]))
