"""Two sets of results side by side: what of the settings changed, and what that did where cells
pair."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from bench.board import statistics
from bench.board.cell_table import flat
from bench.board.grouping import canonical, distinct
from bench.board.measures import better, measure_named
from bench.board.one_seed import Answers, right_rows
from bench.board.statistics import ALPHA, Comparison
from bench.board.verdicts import JUDGED
from bench.cells.cell import THEN
from bench.cells.recipe import LATER, MEASURED, Training
from bench.cells.result import CellResult
from bench.scoring.metrics import is_lower

Word = Literal["better", "worse", "no difference shown", "one seed", "the same"]
_NAMES = ("method", "task", "stages", "seed")
"""Parts of an identity that name a cell: no change of a setting."""


@dataclass(frozen=True)
class Paired:
    """One method on one task, on the m seeds that both sides finished; B − A throughout."""

    task: str
    title: str
    method: str  # as B's boards call it
    lower: bool  # whether less of the score is better
    means: dict[str, tuple[float, float]]  # of `JUDGED` -> A's and B's, in the measure's unit
    found: dict[str, Comparison | None]  # of `JUDGED`, with `p_holm`
    words: dict[str, Word | None]  # of `JUDGED`; None where a side has no value
    answers: tuple[int, int, float] | None
    """Of one seed: rows that B alone answers right, that A alone does, and McNemar's p."""


@dataclass(frozen=True)
class Beside:
    """Two sets of results."""

    changed: tuple[str, ...]  # settings and recipe first, a line each: "train.lr: 0.001 -> 0.01"
    alone: tuple[str, ...]  # cells without a partner, a line for each method and side
    rows: tuple[Paired, ...]  # by task and method


def compare(
    a: Iterable[CellResult],
    b: Iterable[CellResult],
    answers: tuple[Answers, Answers] = (lambda _: None, lambda _: None),
) -> Beside:
    """Hold B's cells against A's. Cells pair that have method, task, seed and model in common, and
    every other setting that has several values on a side; one that has a single value on each may
    differ, and is then what is compared."""
    ours, theirs = ([r for r in distinct(side) if r["status"] == "done"] for side in (a, b))
    pairs, alone = _pairs(ours, theirs)
    rows = [_paired(cells, answers) for _, cells in sorted(pairs.items())]
    for name in JUDGED:
        adjusted = statistics.adjusted([row.found[name] for row in rows])
        rows = [
            replace(row, found={**row.found, name: each})
            for row, each in zip(rows, adjusted, strict=True)
        ]
    return Beside(
        changed=tuple(_changed(ours, theirs)),
        alone=tuple(alone),
        rows=tuple(replace(row, words=_words(row)) for row in rows),
    )


_UNSAID = {f.name: f.default for f in fields(Training) if f.name in {*LATER} - {*MEASURED}}
"""Of the recipe what an identity has only where it is not the default."""


def settings_of(result: CellResult) -> dict[str, Any]:
    """What a cell was run with, by path: `train.lr`, `lwf.interval`, `model.hash`; the recipe's
    defaults that identities leave out are among it. Of a method that forgets nothing there is no
    forgetting task."""
    cell: Mapping[str, Any] = result["cell"]
    method, unread = cell["method"], () if cell["forget"]["tasks"] else ("forget",)
    rest = {k: v for k, v in cell.items() if k not in (*_NAMES, *unread, "settings", "training")}
    parts = {"train": _UNSAID | cell["training"], method: cell["settings"], **rest}
    return {name.removeprefix("."): value for name, value in flat("", parts).items()}


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """A line for each setting that differs, the methods' and the recipe's first; but for what only
    says what is measured, which identities before 0.5.0 had too, where one side lacks it."""
    names = [n for n in dict.fromkeys([*old, *new]) if (n in old and n in new) or not _measures(n)]
    found = [name for name in names if old.get(name) != new.get(name)]
    return [
        f"{name}: {_value(old.get(name))} -> {_value(new.get(name))}"
        for name in sorted(found, key=lambda name: (_is_hash(name), "." not in name, name))
    ]


def _measures(name: str) -> bool:
    first, _, rest = name.partition(".")
    return first in ("retention", "lm_eval", "forget") or (first == "train" and rest in MEASURED)


def _is_hash(name: str) -> bool:
    return name.endswith("hash")


def _value(value: Any) -> str:
    """A setting in words, hashes shortened."""
    words = "none" if value is None else str(value)
    return words[:12] if len(words) == 64 and words.isalnum() else words


def _changed(ours: Sequence[CellResult], theirs: Sequence[CellResult]) -> list[str]:
    """The settings that are not the same on both sides, with all values that each has."""
    sides = []
    for cells in (ours, theirs):
        values: dict[str, dict[str, None]] = {}
        for cell in cells:
            task = cell["cell"]["task"]
            for name, value in settings_of(cell).items():
                of_task = name in ("task_hash", "data.hash") or name.startswith("forget.")
                values.setdefault(f"{task}: {name}" if of_task else name, {})[_value(value)] = None
        sides.append({name: ", ".join(sorted(each)) for name, each in values.items()})
    both = sides[0].keys() & sides[1].keys()
    return changes(*({name: side[name] for name in side if name in both} for side in sides))


Place = tuple[str, str, str]
"""Of a row: task, method, and the settings that have several values on a side."""
Cells = dict[int, tuple[CellResult, CellResult]]
"""Seed -> A's cell and B's."""


def _pairs(
    ours: Sequence[CellResult], theirs: Sequence[CellResult]
) -> tuple[dict[Place, Cells], list[str]]:
    """The cells that pair, by row and seed, and a line for those of a method that do not."""
    several = _several(ours) | _several(theirs)
    sides = [_placed(cells, several) for cells in (ours, theirs)]
    found: dict[Place, Cells] = {}
    alone: dict[tuple[str, str], list[str]] = {}
    for place in sorted(sides[0].keys() | sides[1].keys()):
        mine, its = (side.get(place, {}) for side in sides)
        for seed in sorted(mine.keys() & its.keys()):
            found.setdefault(place, {})[seed] = mine[seed], its[seed]
        for which, one, other in (("A", mine, its), ("B", its, mine)):
            for seed in one.keys() - other.keys():
                name = one[seed]["labels"]["method"]
                alone.setdefault((which, name), []).append(place[0])
    lines = [
        f"in {which} alone: {len(tasks)} cells of {name} ({', '.join(dict.fromkeys(tasks))})"
        for (which, name), tasks in sorted(alone.items())
    ]
    return found, lines


def _several(cells: Sequence[CellResult]) -> set[tuple[str, str, str]]:
    """(task, method, setting) of which a side has more than one value, and every model."""
    values: dict[tuple[str, str, str], set[str]] = {}
    for cell in cells:
        task, method = cell["cell"]["task"], cell["cell"]["method"]
        for name, value in settings_of(cell).items():
            values.setdefault((task, method, name), set()).add(canonical(value))
    return {place for place, each in values.items() if len(each) > 1 or place[2] == "model.hash"}


def _placed(
    cells: Sequence[CellResult], several: set[tuple[str, str, str]]
) -> dict[Place, dict[int, CellResult]]:
    found: dict[Place, dict[int, CellResult]] = {}
    for cell in cells:
        task, method = cell["cell"]["task"], cell["cell"]["method"]
        own = {k: v for k, v in settings_of(cell).items() if (task, method, k) in several}
        found.setdefault((task, method, canonical(own)), {})[cell["cell"]["seed"]] = cell
    return found


def _paired(cells: Cells, answers: tuple[Answers, Answers]) -> Paired:
    last = cells[max(cells)][1]
    scores = last["scores"]
    assert scores is not None, "a finished cell has scores"
    means, found = {}, dict[str, Comparison | None]()
    for name in JUDGED:
        measure = measure_named(name)
        one, two = dict[int, float](), dict[int, float]()
        for seed, (a, b) in cells.items():
            mine, its = measure.from_result(a), measure.from_result(b)
            if mine is not None and its is not None:
                one[seed], two[seed] = mine, its
        found[name] = statistics.compared(two, one)
        if one:
            means[name] = (sum(one.values()) / len(one), sum(two.values()) / len(two))
    return Paired(
        task=last["cell"]["task"],
        title=last["labels"].get("task", last["cell"]["task"].replace(THEN, " > ")),
        method=last["labels"]["method"],
        lower=is_lower(scores["primary"]),
        means=means,
        found=found,
        words={},
        answers=_mcnemar(*next(iter(cells.values())), answers) if len(cells) == 1 else None,
    )


def _mcnemar(
    ours: CellResult, theirs: CellResult, answers: tuple[Answers, Answers]
) -> tuple[int, int, float] | None:
    mine, its = right_rows(ours, answers[0](ours)), right_rows(theirs, answers[1](theirs))
    if mine is None or its is None or mine.keys() != its.keys():
        return None
    more = sum(its[row] and not mine[row] for row in mine)
    fewer = sum(mine[row] and not its[row] for row in mine)
    return more, fewer, statistics.mcnemar(more, fewer)


def _words(row: Paired) -> dict[str, Word | None]:
    return {name: _word(name, row.found[name], row.lower) for name in JUDGED}


def _word(name: str, found: Comparison | None, lower: bool) -> Word | None:
    if found is None:
        return None
    mean, spread = found.difference.mean, found.difference.sd
    if not mean and not spread:
        return "the same"
    if found.p_holm is None:
        return "one seed"
    if found.p_holm >= ALPHA:
        return "no difference shown"
    more = better(measure_named(name), lower) == "more"
    return "better" if (mean > 0) == more else "worse"
