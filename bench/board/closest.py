"""The two best methods of a table, beside the reference: how far apart, and how many seeds would
tell them from one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.board import statistics
from bench.board.grouping import MethodKey
from bench.board.rows import Measured, Row
from bench.board.statistics import ALPHA, Comparison


@dataclass(frozen=True)
class Closest:
    """The two methods of the best scores, and what sets the first apart from the second."""

    first: str
    second: str
    found: Comparison  # on the seeds that both finished; by itself, in no family

    @property
    def is_told(self) -> bool:
        """Whether the paired t-test tells one from the other."""
        return self.found.p is not None and self.found.p < ALPHA


def closest(
    rows: Sequence[Row], measured: Measured, names: Mapping[MethodKey, str]
) -> Closest | None:
    """Of `rows` in the order of tables; None where there are no two with two seeds in common."""
    scores = {
        names[key]: {s: v for s, figures in cells.items() if (v := figures["after"]) is not None}
        for key, cells in measured.items()
    }
    best = [row.method for row in rows if row.values["after"] and not row.reference][:2]
    if len(best) < 2:
        return None
    (found,) = statistics.adjusted([statistics.compared(scores[best[0]], scores[best[1]])])
    return Closest(best[0], best[1], found) if found and found.p is not None else None
