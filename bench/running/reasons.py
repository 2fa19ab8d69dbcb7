"""Why a cell is to run: what of it differs from the nearest result in the folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.cells.cell import Cell, label_of
from bench.cells.recipe import MEASURED
from bench.cells.weights import Weights
from bench.core.settings import typed
from bench.running.sharing import unmeasured

if TYPE_CHECKING:
    from bench.cells.cell import AnyCell
    from bench.cells.result import CellResult
    from bench.cells.store import Store

NEVER = "never run"
TRIAL = "trials that have not run"
_SCORED = " (its weights are kept: it is only scored)"
Place = tuple[Any, ...]


def place_of(identity: Mapping[str, Any]) -> Place:
    """What the cells have in common that are held against each other: method, task, seed."""
    return tuple(identity[name] for name in _SAME)


def reason(cell: AnyCell, results: Iterable[CellResult], store: Store) -> str:
    """Why `cell` is to run, where `results` are those of the folder: never run; failed; finished
    without something that is asked for now; or what changed since a cell of the same method, task
    and seed. Whether it is trained, where it was before, is said too."""
    identity: Mapping[str, Any] = cell.identity()
    alike = [r for r in results if place_of(r["cell"]) == place_of(identity)]
    same = next((result for result in alike if result["hash"] == cell.hash), None)
    kept = isinstance(cell, Cell) and Weights(store.folder).holds(cell)
    if same is not None and same["status"] == "done":
        parts = unmeasured(same, cell, store)
        words = ", ".join(_PARTS[part] for part in parts)
        found = f"to measure: {words}" if parts else "its test rows are not answered"
        if "probe" in parts:
            return f"{found} (in the midst of training: it is trained again)"
        if not kept:
            return f"{found} (its weights were not kept: it is trained again)"
    elif same is not None:
        found = f"{same['status']} before: {same['error']}"
    elif alike:
        nearest: list[str] = min((_changes(r["cell"], identity) for r in alike), key=len)
        found = "; ".join(nearest)
    else:
        found = NEVER
    return found + _SCORED if kept else found


def is_scored(reason: str) -> bool:
    """Whether a cell with this reason is trained, and only to be scored."""
    return reason.endswith(_SCORED)


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
    "text": "the text that it reads",
    "tuned": "the search for its settings",
}
_PARTS = {
    "scores": "dev rows",
    "retention": "the retention text",
    "forgotten": "forgetting tasks",
    "facts": "facts",
    "lm_eval": "lm-eval",
    "retain_tasks": "retention tasks",
    "path": "the path of weights",
    "probe": "a learning curve of scores",
}
_MEASURED = ("retention", "lm_eval")  # in results before 0.5.0


def _changes(old: Any, new: Any) -> list[str]:
    """What differs between two identities, in words."""
    found = []
    for part in dict.fromkeys([*new, *old]):
        was, now = old.get(part), new.get(part)
        if part == "text" and was is None:  # before 0.5.0 it was that which is scored
            was = (old.get("retention") or {}).get("hash") or ""
        if was == now or part in _MEASURED:
            continue
        if part in ("settings", "training"):
            owner = "train" if part == "training" else new["method"]
            found += [
                f"{owner}.{name} {typed(was.get(name))} -> {typed(now.get(name))}"
                for name in dict.fromkeys([*now, *was])
                if was.get(name) != now.get(name) and (name in now or name not in MEASURED)
            ]
        elif part == "forget":
            found += _forget(was, now)
        elif part == "suite_version":
            found.append(f"suite version {was} -> {now}: scores may change")
        elif part == "versions":
            found += _versions(was or {}, now or {})
        else:
            found.append(f"{_WORDS.get(part, part)} changed")
    return found


def _versions(was: Mapping[str, int], now: Mapping[str, int]) -> list[str]:
    names = (name for name in dict.fromkeys([*now, *was]) if was.get(name, 1) != now.get(name, 1))
    return [f"the code of {name}, {was.get(name, 1)} -> {now.get(name, 1)}" for name in names]


def _forget(was: Any, now: Any) -> list[str]:
    if not now["tasks"]:
        return []  # before 0.5.0 also methods that do not read them had them
    names = [", ".join(each["tasks"]) or "nothing" for each in (was, now)]
    if names[0] == names[1]:
        return [f"the rows of what it forgets ({names[0]}) changed"]
    return [f"it forgets {names[1]} instead of {names[0]}"]
