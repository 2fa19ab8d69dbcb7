"""What boards say of scores that are no more than chance, and of answers that are too alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bench.board.grouping import MethodKey, method_of
from bench.cells.result import CellResult
from bench.scoring.metrics import is_lower

ALIKE = 0.95
"""The share of equal answers from which on a model is said to give the same one to every row."""


def majority_of(cells: Iterable[CellResult]) -> float | None:
    """The score of the commonest answer on a task's dev rows, by its primary metric; None where no
    cell knows it."""
    known = (cell["chance"]["majority"] for cell in cells if cell["chance"])
    return next((value for value in known if value is not None), None)


def unbeaten(cells: Sequence[CellResult]) -> bool:
    """Whether neither the untouched model nor a method's mean over seeds is above the majority."""
    majority = majority_of(cells)
    if majority is None:
        return False
    before: list[float] = []
    after: dict[MethodKey, list[float]] = {}
    for cell in cells:
        if (scores := cell["scores"]) is None:
            continue
        if is_lower(scores["primary"]):
            return False
        before.append(scores["before"][scores["primary"]])
        after.setdefault(method_of(cell), []).append(scores["after"][scores["primary"]])
    means = [sum(values) / len(values) for values in (before, *after.values()) if values]
    return bool(means) and max(means) <= majority


def notes(cells: Sequence[CellResult], names: Mapping[MethodKey, str]) -> tuple[str, ...]:
    """Answers that hardly differ from row to row, and methods whose answers do not differ."""
    same: dict[str, set[int]] = {}
    for cell in cells:
        if chance := cell["chance"]:
            seed = cell["cell"]["seed"]
            for name, found in (
                ("before", chance["before"]),
                (_name(cell, names), chance["after"]),
            ):
                if found["share"] >= ALIKE:
                    same.setdefault(name, set()).add(seed)
    alike = [
        f"{name}, seed {', '.join(map(str, sorted(seeds)))}: {100 * ALIKE:.0f} % or more of the "
        "answers are the same"
        for name, seeds in sorted(same.items(), key=lambda item: (item[0] != "before", item[0]))
    ]
    lines = [*alike, *_twins(cells, names)]
    if unbeaten(cells):
        lines.append("nothing beats the majority: this task is in no average")
    return tuple(lines)


def _twins(cells: Sequence[CellResult], names: Mapping[MethodKey, str]) -> list[str]:
    """Methods that gave the same answers to all rows, where these are not all one answer."""
    groups: dict[tuple[int, str], list[CellResult]] = {}
    for cell in cells:
        if cell["chance"] and cell["chance"]["after"]["share"] < 1:
            place = cell["cell"]["seed"], cell["chance"]["after"]["hash"]
            groups.setdefault(place, []).append(cell)
    twins: dict[tuple[tuple[str, ...], int], list[str]] = {}
    for (seed, _), found in sorted(groups.items()):
        if len(found) > 1:
            them = tuple(sorted(_name(cell, names) for cell in found))
            twins.setdefault((them, found[0]["data"]["dev_rows"]), []).append(str(seed))
    return [
        f"{', '.join(them[:-1])} and {them[-1]} gave the same answers to all {rows} rows, "
        f"seed {', '.join(seeds)}"
        for (them, rows), seeds in twins.items()
    ]


def _name(cell: CellResult, names: Mapping[MethodKey, str]) -> str:
    return names[method_of(cell)]
