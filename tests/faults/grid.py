"""A small grid, run in processes of its own under a fault; what is counted of it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_OWN = ("costs", "provenance")  # seconds, memory, time of day
Fault = Callable[[], None]


@dataclass(frozen=True)
class Grid:
    """A grid of the tiny world, and what it ends with where nothing happens."""

    words: tuple[str, ...]
    place: Path
    wanted: dict[str, Any]

    @property
    def cells(self) -> int:
        """How many there are; beside each lie its answers."""
        return sum(not name.endswith(".rows.json") for name in self.wanted)

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


def stopping(step: int, number: int = signal.SIGTERM) -> Fault:
    """A signal behind a training step."""

    def patch() -> None:
        from methods.finetune import Finetune

        def after_step(_: Any, run: Any) -> None:
            if run.step == step:
                os.kill(os.getpid(), number)

        Finetune.after_step = after_step  # type: ignore[method-assign]

    return patch


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
