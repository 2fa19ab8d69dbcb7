"""How far a run has come, as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from bench.cells.result import CellResult


def status(results: Sequence[CellResult], folder: Path) -> str:
    """How many cells of a run's folder are done, failed, refused or stopped, and why."""
    states = "done", "failed", "refused"
    number = Counter[str](result["status"] for result in results)
    stopped = len(list((folder / "checkpoints").rglob("checkpoint.json")))
    lines = [f"{folder}: {', '.join(f'{number[s]} {s}' for s in states)}, {stopped} stopped"]
    counts: dict[tuple[str, str], list[int]] = {}
    for result in results:
        key = (result["labels"]["method"], result["cell"]["task"])
        counts.setdefault(key, [0, 0, 0])[states.index(result["status"])] += 1
    rows = [(method, task, *each) for (method, task), each in sorted(counts.items())]
    if rows:
        lines += ["", tabulate(rows, headers=("method", "task", *states))]
    lines += [
        f"! {r['labels']['method']} x {r['cell']['task']} x seed {r['cell']['seed']}: {r['error']}"
        for r in results
        if r["status"] != "done"
    ]
    return "\n".join(lines)
