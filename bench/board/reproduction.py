"""Published figures beside measured ones: how far apart they are, and whether that can be said."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from bench.board.grouping import canonical, distinct, method_names, method_of
from bench.board.published import Published, Row, Value
from bench.board.sequence_measures import forgetting
from bench.cells.cell import REFERENCE
from bench.cells.result import CellResult

WITHIN = 2.0
"""Standard errors up to which two figures do not differ."""
MIXED = "mixed"
Word = Literal["within", "outside", "not comparable", "not measured", "not read"]

Scores = Mapping[int, float]
"""Seed -> figure, as it is shown: ×100, or a share of forgetting."""


@dataclass(frozen=True)
class Measured:
    """What was measured for one published figure."""

    method: str  # as boards call it
    scores: Scores
    differs: frozenset[str] = frozenset()  # in what the cells are not those of the source

    def value(self, statistic: str) -> float:
        """The statistic of the seeds; the mean where the source does not say its own."""
        values = list(self.scores.values())
        if statistic == "max":
            return max(values)
        return statistics.median(values) if statistic == "median" else statistics.fmean(values)

    @property
    def sd(self) -> float | None:
        """Over seeds, ddof 1; None of one seed."""
        return statistics.stdev(self.scores.values()) if len(self.scores) > 1 else None


@dataclass(frozen=True)
class Reproduced:
    """One published figure beside the measured one."""

    row: Row
    task: str  # or the name of an average
    published: Value
    measured: Measured | None
    difference: float | None = None  # measured − published; to the nearer end of a range
    errors: float | None = None  # the difference in standard errors, where both have a spread
    verdict: Word = "not measured"
    reasons: tuple[str, ...] = field(default=())  # why they cannot be compared

    @property
    def value(self) -> float | None:
        """The measured figure."""
        return self.measured.value(self.row.statistic) if self.measured else None


def reproductions(
    published: Published, results: Iterable[CellResult], recipes: Mapping[str, Mapping[str, Any]]
) -> list[Reproduced]:
    """Each figure of `published` beside what `results` hold of it, row by row.

    `recipes` has of each task (or sequence) the parts of the recipe that make it the published
    one; a cell that was trained otherwise cannot be compared.
    """
    cells = [cell for cell in distinct(results) if cell["status"] == "done"]
    found = []
    for row in published.rows:
        tasks = {*row.values, *(t for name in row.averages for t in published.averages[name])}
        mine = {t: _best(row, _measured(row, t, cells, published, recipes)) for t in tasks}
        found += [_judged(row, task, value, mine[task]) for task, value in row.values.items()]
        for name, value in row.averages.items():
            whole = _averaged(row, [mine[task] for task in published.averages[name]])
            found.append(_judged(row, name, value, whole))
    return found


def _measured(
    row: Row,
    task: str,
    cells: Sequence[CellResult],
    published: Published,
    recipes: Mapping[str, Mapping[str, Any]],
) -> list[Measured]:
    """What was measured of a row's task, for each of its method's settings that were run."""
    own = [cell for cell in cells if cell["cell"]["task"] == task]
    mine = [cell for cell in own if _is_of(row, cell)]
    names = method_names(own)
    base = {c["cell"]["seed"]: c for c in own if c["cell"]["method"] == REFERENCE}
    metric = published.metrics.get(task)
    groups: dict[str, list[CellResult]] = {}
    for cell in mine:
        groups.setdefault(canonical([method_of(cell), _apart(cell)]), []).append(cell)
    found = []
    for group in groups.values():
        scores = {c["cell"]["seed"]: _figure(row, c, base, metric or None) for c in group}
        known = {seed: value for seed, value in scores.items() if value is not None}
        if known:
            differs = frozenset(
                [*_differs(row, group[0], recipes.get(task, {})), *_unknown(task, metric)]
            )
            found.append(Measured(names[method_of(group[0])], known, differs))
    return found


def _is_of(row: Row, cell: CellResult) -> bool:
    """Whether a cell is of a row's method, with the settings that make it that row."""
    its, forget = cell["cell"]["settings"], cell["cell"]["forget"]["tasks"]
    forgets = not row.forget or (len(forget) > 1 if row.forget == MIXED else forget == [row.forget])
    alike = all(its.get(name) == value for name, value in row.settings.items())
    return cell["cell"]["method"] == row.method and alike and forgets


def _apart(cell: CellResult) -> dict[str, Any]:
    """What of a cell is another run, beside its method and seed."""
    its = {k: v for k, v in cell["cell"].items() if k not in ("method", "settings", "seed")}
    return its | {"scored on": cell["measured"]["scores"]}


def _figure(
    row: Row, cell: CellResult, base: Mapping[int, CellResult], metric: str | None
) -> float | None:
    """A cell's figure, as the row's measure has it; None where what it is set against is not
    there."""
    if row.measure == "forgetting":
        return forgetting(cell["sequence"]["matrix"]) if cell["sequence"] else None
    mine = _score(cell, metric)
    if row.measure == "score" or mine is None:
        return mine
    plain = base.get(cell["cell"]["seed"])
    its = _score(plain, metric) if plain else None
    if its is None or (row.measure == "relative gain" and not its):
        return None
    return mine - its if row.measure == "gain" else 100 * (mine / its - 1)


def _score(cell: CellResult, metric: str | None) -> float | None:
    scores = cell["scores"]
    assert scores is not None, "a finished cell has scores"
    found = scores["after"].get(metric or scores["primary"])
    return None if found is None else 100 * found


def _differs(row: Row, cell: CellResult, recipe: Mapping[str, Any]) -> list[str]:
    """In what a cell is another run than the source's."""
    found = []
    model, rows = cell["labels"]["model"], cell["measured"]["scores"].get("rows")
    training = cell["cell"]["training"] | ({"max_eval": rows} if rows else {})
    if not row.model:
        found.append("the source's model is not known")
    elif not model.rpartition("/")[2].lower().startswith(row.model.lower()):
        found.append(f"other model: {model}, not {row.model}")
    if cell["generated"]:
        found.append("the rows here are generated")
    for name, value in recipe.items():
        if training.get(name) != value:
            found.append(f"other recipe: train.{name} {training.get(name)}, not {value}")
    for name in ("max_train", "max_eval"):
        if training.get(name) is not None and name not in recipe:
            found.append(f"fewer rows: train.{name} {training[name]}")
    if row.split == "test":
        found.append("other split: dev here, GLUE's server scores the test rows")
    chosen = training.get("select", "last")
    if row.selection and row.selection != chosen:
        found.append(f"other selection: {chosen} here, {row.selection} there")
    return found


def _unknown(task: str, metric: str | None) -> list[str]:
    return [f"which metric of {task} the source reports is not known"] if metric == "" else []


def _best(row: Row, found: Sequence[Measured]) -> Measured | None:
    """The settings that scored best among those that differ least from the source's."""
    least = min((len(one.differs) for one in found), default=0)
    alike = [one for one in found if len(one.differs) == least]
    best = max(alike, key=lambda one: one.value(row.statistic), default=None)
    said = ""
    if row.best_of and len(alike) == 1:
        said = f"one setting here, the best of several {', '.join(row.best_of)} there"
    elif not row.best_of and len(alike) > 1:
        said = f"the best of {len(alike)} settings here, one setting there"
    return replace(best, differs=best.differs | {said}) if best and said else best


def _averaged(row: Row, found: Sequence[Measured | None]) -> Measured | None:
    """Over tasks, each seed by itself; None where a task was not measured, or no seed is in all."""
    whole = [one for one in found if one is not None]
    if not whole or len(whole) < len(found):
        return None
    seeds = set.intersection(*(set(one.scores) for one in whole))
    if not seeds:
        return None
    scores = {seed: statistics.fmean(one.scores[seed] for one in whole) for seed in sorted(seeds)}
    methods = dict.fromkeys(one.method for one in whole)
    differs = frozenset[str]().union(*(one.differs for one in whole))
    mean = statistics.fmean(one.value(row.statistic) for one in whole)
    return _Average(" / ".join(methods), scores, differs, mean)


@dataclass(frozen=True)
class _Average(Measured):
    """Over tasks: the mean of their statistics, as tables have it, not the statistic of means."""

    mean: float = 0.0

    def value(self, statistic: str) -> float:
        return self.mean


def _judged(row: Row, task: str, published: Value, measured: Measured | None) -> Reproduced:
    """The verdict on one figure."""
    plain = Reproduced(row, task, published, measured)
    if measured is None:
        return plain if published is not None else replace(plain, verdict="not read")
    if published is None:
        return replace(plain, verdict="not read")
    value = measured.value(row.statistic)
    low, high = published if isinstance(published, tuple) else (published, published)
    difference = value - min(max(value, low), high)
    errors = _errors(row, task, difference, measured)
    reasons = _reasons(row, measured, isinstance(published, tuple))
    found = replace(plain, difference=difference, errors=errors, reasons=reasons)
    if reasons:
        return replace(found, verdict="not comparable")
    if errors is not None:
        inside = abs(errors) <= WITHIN
    else:
        inside = min(measured.scores.values()) <= high and low <= max(measured.scores.values())
    return replace(found, verdict="within" if inside else "outside")


def _errors(row: Row, task: str, difference: float, measured: Measured) -> float | None:
    """The difference in standard errors, where both means have a standard deviation over runs."""
    theirs, sd = row.spread.get(task), measured.sd
    if not isinstance(theirs, float) or row.spread_is != "sd" or not row.runs or sd is None:
        return None
    error = math.sqrt(theirs**2 / row.runs + sd**2 / len(measured.scores))
    return difference / error if error else None


def _reasons(row: Row, measured: Measured, is_range: bool) -> tuple[str, ...]:
    """Why the two cannot be compared, one line each."""
    found = [row.caveat] if row.caveat else []
    found += sorted(measured.differs)
    n = len(measured.scores)
    if n < row.runs:
        found.append(f"fewer seeds: {n}, not {row.runs}")
    elif n == 1 and not is_range:
        found.append("one seed has no spread")
    if row.statistic == "max":
        found.append("other statistic: a highest value has no spread")
    return tuple(found)
