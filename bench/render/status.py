"""How far a run has come, as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from bench.cells.result import CellResult
from bench.render.layout import WIDTH, table, wrap
from bench.render.sections import Column


def status(
    results: Sequence[CellResult], folder: Path, width: int = WIDTH, set_aside: Sequence[str] = ()
) -> str:
    """How many cells of a run's folder are done, failed, refused or stopped, and why; and which
    files were set aside."""
    states = "done", "failed", "refused"
    number = Counter[str](result["status"] for result in results)
    ended = {result["hash"][:24] for result in results}
    begun = (path for path in (folder / "checkpoints").glob("*") if path.name.isalnum())
    stopped = sum(path.name not in ended for path in begun)
    lines = [f"{folder}: {', '.join(f'{number[s]} {s}' for s in states)}, {stopped} stopped"]
    counts: dict[tuple[str, str], list[int]] = {}
    for result in results:
        key = (result["labels"]["method"], result["cell"]["task"])
        counts.setdefault(key, [0, 0, 0])[states.index(result["status"])] += 1
    rows = [(*names, *map(str, each)) for names, each in sorted(counts.items())]
    if rows:
        words = (Column(name, words=40, left=True) for name in ("method", "task"))
        lines += ["", *table((*words, *map(Column, states)), rows, width)[0]]
    for result in results:
        if result["status"] != "done":
            label, cell = result["labels"]["method"], result["cell"]
            said = f"! {label} x {cell['task']} x seed {cell['seed']}: {result['error']}"
            lines.append(wrap(said, width, "  "))
    return "\n".join([*lines, *(wrap(f"! {line}", width, "  ") for line in set_aside)])
