"""Rows of a table: what becomes of a method's measures over its seeds, beside the others'."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.board import statistics
from bench.board.grouping import MethodKey
from bench.board.measures import MEASURES, Measure, better
from bench.board.statistics import Comparison, Estimate
from bench.cells.cell import REFERENCE

Figures = Mapping[str, float | None]
"""Each measure's name -> its value in one cell, or in one seed averaged over tasks."""
Measured = Mapping[MethodKey, Mapping[int, Figures]]
"""A table's finished cells: method -> seed -> figures."""


@dataclass(frozen=True)
class Row:
    """One method in one table: means over its finished seeds."""

    method: str  # name and changed settings
    lower: bool  # whether less is better: a perplexity
    reference: bool  # whether gains are differences to this row
    done: int  # finished seeds
    planned: int  # seeds of the board
    values: Mapping[str, Estimate | None]
    """Each measure's name -> its mean over the seeds, or the highest of them; None is missing: a
    cell lacks it, or there is no reference to set it against."""
    against: Mapping[str, Comparison | None]
    """Each measure's name -> what sets it apart from the reference's on the same seeds; None of the
    reference itself, and of what is no mean of its own (see `is_plain`)."""
    leading: tuple[str, ...]
    """The measures in which no other row is shown better, by the paired interval over seeds; a
    method with one seed is not looked at."""

    def mean(self, measure: str) -> float | None:
        """The mean of `measure` (or the highest), where there is one."""
        found = self.values[measure]
        return found.mean if found else None


def rows_of(
    measured: Measured, names: Mapping[MethodKey, str], planned: int, lower: bool = False
) -> tuple[Row, ...]:
    """A row per method: the reference, then the best mean first; those without any at the end."""
    reference = reference_of(names)
    base = measured.get(reference, {}) if reference else {}
    leading = {m.name: _leading(m, measured, lower) for m in MEASURES if is_plain(m)}
    rows = []
    for key, name in names.items():
        mine, is_reference = measured.get(key, {}), key == reference
        row = Row(
            method=name,
            lower=lower,
            reference=is_reference,
            done=len(mine),
            planned=planned,
            values={m.name: _over_seeds(m, mine, base, is_reference) for m in MEASURES},
            against={m.name: _against(m, mine, base, is_reference) for m in MEASURES},
            leading=tuple(name for name, keys in leading.items() if key in keys),
        )
        rows.append(row)
    return tuple(sorted(rows, key=_rank))


def _rank(row: Row) -> tuple[bool, bool, float, str]:
    after = row.values["after"]
    mean = after.mean if after else 0.0
    return not row.reference, after is None, mean if row.lower else -mean, row.method


def reference_of(names: Iterable[MethodKey]) -> MethodKey | None:
    """The method that the others are set against, where it is there: of several, such as at
    learning rates of its own, that with the fewest settings."""
    found = (key for key in names if key.method == REFERENCE)
    return min(found, key=lambda key: (len(key.settings), key), default=None)


def is_plain(measure: Measure) -> bool:
    """Whether it is a mean over seeds of its own, set against nothing."""
    return measure.versus is None and measure.over == "mean"


def _leading(measure: Measure, measured: Measured, lower: bool) -> set[MethodKey]:
    """The methods of two seeds or more than which none is shown better, by the paired interval."""
    sign = {"more": 1, "less": -1, None: 0}[better(measure, lower)]
    values = {key: _of(measure, cells) for key, cells in measured.items()}
    means = {
        key: sign * sum(known.values()) / len(known)
        for key, known in values.items()
        if len(known) > 1 and len(known) == len(measured[key])
    }
    if not sign or len(means) < 2:
        return set()

    def is_beaten(key: MethodKey) -> bool:
        found = (statistics.paired(values[other], values[key]) for other in means)
        return any(f and f.half is not None and sign * f.mean > f.half for f in found)

    return {key for key in means if not is_beaten(key)}


def _against(
    measure: Measure, mine: Mapping[int, Figures], base: Mapping[int, Figures], is_reference: bool
) -> Comparison | None:
    if is_reference or not is_plain(measure):
        return None
    return statistics.compared(_of(measure, mine), _of(measure, base))


def _over_seeds(
    measure: Measure, mine: Mapping[int, Figures], base: Mapping[int, Figures], is_reference: bool
) -> Estimate | None:
    """What becomes of a measure over a method's seeds, and the reference's where it is compared."""
    if measure.versus is None:
        return _combined(measure, [figures[measure.name] for figures in mine.values()])
    ours, theirs = _of(measure, mine), _of(measure, base)
    if measure.versus == "difference":
        return None if is_reference else statistics.paired(ours, theirs)
    found = statistics.ratio(ours, theirs)
    return replace(found, half=None, sd=None) if found and is_reference else found


def _of(measure: Measure, cells: Mapping[int, Figures]) -> dict[int, float]:
    """Seed -> its figure, where there is one."""
    found = {seed: figures[measure.name] for seed, figures in cells.items()}
    return {seed: value for seed, value in found.items() if value is not None}


def across(cells: Sequence[Figures]) -> Figures:
    """Measure by measure the mean over cells, or the highest."""
    found = {m.name: _combined(m, [figures[m.name] for figures in cells]) for m in MEASURES}
    return {name: value.mean if value else None for name, value in found.items()}


def _combined(measure: Measure, values: Sequence[float | None]) -> Estimate | None:
    """The mean or the highest; None where there is no value or one is missing: a figure of some
    would mislead."""
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return None
    if measure.over == "highest":
        return Estimate(len(known), max(known), None)
    return statistics.estimate(known)
