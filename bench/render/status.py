"""How far a folder has come, as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from bench.cells.result import CellResult
from bench.cells.state import Running, State, where
from bench.core.durations import clock
from bench.render.layout import WIDTH, table, wrap
from bench.render.section import Column

_STATES = "done", "failed", "refused"
_NAMED = 8  # cells that are named of those that wait


def status(state: State, folder: Path, width: int = WIDTH) -> str:
    """How many cells of a folder are done, failed, refused, stopped, running or waiting, where the
    running ones are, what the last command's plan still lacks, and why cells have no scores; and
    which files were set aside."""
    number = Counter[str](result["status"] for result in state.results)
    counts = [(number[word], word) for word in _STATES] + [(len(state.stopped), "stopped")]
    others = [(len(state.running), "running"), (len(state.waiting), "waiting")]
    said = ", ".join(f"{n} {word}" for n, word in [*counts, *((n, w) for n, w in others if n)])
    left = "" if state.left is None or state.is_over else f"; about {clock(state.left)} left"
    lines = [f"{folder}: {said}{left}"]
    running = [wrap(f"running: {_running(cell)}", width, "  ") for cell in state.running]
    lines += ["", *running] if running else []
    lines += _named("stopped, with a checkpoint", state.stopped, width)
    lines += _named("waiting", state.waiting, width)
    if state.results:
        lines += ["", *_counted(state.results, width)]
    for result in state.results:
        if result["status"] != "done":
            label, cell = result["labels"]["method"], result["cell"]
            said = f"! {label} x {cell['task']} x seed {cell['seed']}: {result['error']}"
            lines.append(wrap(said, width, "  "))
    return "\n".join([*lines, *(wrap(f"! {line}", width, "  ") for line in state.set_aside)])


def _running(cell: Running) -> str:
    """`lwf x cola x seed 0: train 3/12, loss 0.5129; 4 s so far, 6 s left (process 7 on host)`."""
    if (note := cell.notice) is None:
        return f"{cell.name}: begins ({cell.holder})"
    left = "" if cell.left is None else f", {clock(cell.left)} left"
    at = where(note["stage"], note["done"], note["total"], note["loss"])
    return f"{cell.name}: {at}; {clock(note['seconds'])} so far{left} ({cell.holder})"


def _named(what: str, cells: Sequence[str], width: int) -> list[str]:
    """A line of names, or none."""
    more = f" and {len(cells) - _NAMED} more" if len(cells) > _NAMED else ""
    text = f"{what}: {', '.join(cells[:_NAMED])}{more}"
    return ["", wrap(text, width, "  ")] if cells else []


def _counted(results: Sequence[CellResult], width: int) -> list[str]:
    counts: dict[tuple[str, str], list[int]] = {}
    for result in results:
        trial = "trial" in result["labels"]
        method = f"{result['cell']['method']} trials" if trial else result["labels"]["method"]
        key = (method, result["cell"]["task"])
        counts.setdefault(key, [0, 0, 0])[_STATES.index(result["status"])] += 1
    rows = [(*names, *map(str, each)) for names, each in sorted(counts.items())]
    words = (Column(name, words=40, left=True) for name in ("method", "task"))
    return table((*words, *map(Column, _STATES)), rows, width)[0]
