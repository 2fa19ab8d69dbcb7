"""Why a cell is to run: what of it differs from the nearest result in the folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.cells.cell import Cell, label_of

if TYPE_CHECKING:
    from bench.cells.cell import AnyCell
    from bench.cells.result import CellResult
    from bench.cells.weights import Weights

NEVER = "never run"
TRIAL = "trials that have not run"
Place = tuple[Any, ...]


def place_of(identity: Mapping[str, Any]) -> Place:
    """What the cells have in common that are held against each other: method, task, seed."""
    return tuple(identity[name] for name in _SAME)


def reason(cell: AnyCell, results: Iterable[CellResult], weights: Weights) -> str:
    """Why `cell` is to run, where `results` are those of the folder: never run; failed; finished
    without something that is asked for now; or what changed since a cell of the same method, task
    and seed. That only scoring is left is said too."""
    identity: Mapping[str, Any] = cell.identity()
    alike = [r for r in results if place_of(r["cell"]) == place_of(identity)]
    same = next((result for result in alike if result["hash"] == cell.hash), None)
    if same is not None:
        found = "its test rows are not answered" if same["status"] == "done" else _failed(same)
    elif alike:
        nearest: list[str] = min((_changes(r["cell"], identity) for r in alike), key=len)
        found = "; ".join(nearest)
    else:
        found = NEVER
    kept = isinstance(cell, Cell) and weights.holds(cell)
    return f"{found} (its weights are kept: it is only scored)" if kept else found


def summed(reasons: Mapping[str, Sequence[AnyCell]]) -> list[str]:
    """A line for each reason: how many cells, and of which methods where not of all."""
    everyone = {label_of(cell) for cells in reasons.values() for cell in cells}
    lines = []
    for text, cells in reasons.items():
        labels = Counter(map(label_of, cells))
        which = "" if labels.keys() == everyone and len(reasons) == 1 else f" {', '.join(labels)}:"
        lines.append(f"{len(cells)}{which} {text}")
    return lines


_SAME = ("method", "task", "seed")
_WORDS = {
    "suite_version": "suite version",
    "task_hash": "what the task asks",
    "model": "the model",
    "data": "the task's rows",
    "retention": "the retention text",
    "lm_eval": "lm-eval",
    "tuned": "the search for its settings",
}


def _failed(result: CellResult) -> str:
    return f"{result['status']} before: {result['error']}"


def _changes(old: Any, new: Any) -> list[str]:
    """What differs between two identities, in words."""
    found = []
    for part in dict.fromkeys([*new, *old]):
        was, now = old.get(part), new.get(part)
        if was == now:
            continue
        if part in ("settings", "training"):
            owner = "train" if part == "training" else new["method"]
            found += [
                f"{owner}.{name} {was.get(name)} -> {now.get(name)}"
                for name in dict.fromkeys([*now, *was])
                if was.get(name) != now.get(name)
            ]
        elif part == "forget":
            found.append(_forget(was, now))
        elif part == "suite_version":
            found.append(f"suite version {was} -> {now}")
        else:
            found.append(f"{_WORDS.get(part, part)} changed")
    return found


def _forget(was: Any, now: Any) -> str:
    names = [", ".join(each["tasks"]) or "nothing" for each in (was, now)]
    if names[0] == names[1]:
        return f"the rows of what it forgets ({names[0]}) changed"
    return f"it forgets {names[1]} instead of {names[0]}"
