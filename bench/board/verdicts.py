"""Who is better than the reference, on the task and in what is remembered, and who it is not known
of: one paired t-test each, Holm over the board."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from bench.board import statistics
from bench.board.measures import better, measure_named
from bench.board.rows import Row
from bench.board.statistics import ALPHA, Comparison

JUDGED = ("after", "retention")
"""The measures that rows are judged by."""
Word = Literal["better", "worse", "no difference shown", "one seed"]


class Titled(Protocol):
    """A table, as far as verdicts know it."""

    @property
    def task(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def rows(self) -> tuple[Row, ...]: ...


@dataclass(frozen=True)
class Verdict:
    """What is said of a row, by each of `JUDGED`."""

    task: str
    title: str
    method: str
    lower: bool  # whether less of the score is better
    found: dict[str, Comparison | None]  # by measure, with `p_holm`
    words: dict[str, Word | None]  # by measure; None where there is nothing to compare


def verdicts(tables: Sequence[Titled]) -> tuple[Verdict, ...]:
    """One for each row but the reference's; the comparisons of all `tables` by one measure are one
    family."""
    rows = [(table, row) for table in tables for row in table.rows if not row.reference]
    by_measure = {
        name: statistics.adjusted([row.against[name] for _, row in rows]) for name in JUDGED
    }
    return tuple(
        Verdict(
            table.task,
            table.title,
            row.method,
            row.lower,
            found={name: by_measure[name][i] for name in JUDGED},
            words={name: _word(name, by_measure[name][i], row.lower) for name in JUDGED},
        )
        for i, (table, row) in enumerate(rows)
        if any(by_measure[name][i] for name in JUDGED)
    )


def limits(said: Sequence[Verdict]) -> tuple[str, ...]:
    """What so few seeds cannot show, a line for each number of seeds."""
    found = [one for verdict in said for one in verdict.found.values() if one]
    lines = []
    for n in sorted({one.difference.n for one in found}):
        least = statistics.least_p(n)
        if n == 1:
            lines.append("one seed: no difference can be told from chance")
        elif least >= ALPHA:
            enough = next(m for m in range(n, 99) if statistics.least_p(m) < ALPHA)
            lines.append(
                f"{n} seeds: no exact paired test over seeds can reach {ALPHA:.2f}, its least p is "
                f"{least:.3g} ({enough} seeds can); the verdicts take differences for normal"
            )
    return tuple(lines)


def _word(name: str, found: Comparison | None, lower: bool) -> Word | None:
    if found is None:
        return None
    if found.p_holm is None:
        return "one seed"
    if found.p_holm >= ALPHA:
        return "no difference shown"
    more = better(measure_named(name), lower) == "more"
    return "better" if (found.difference.mean > 0) == more else "worse"
