"""Means with their intervals, a method below the other: gains, and how far weights went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.board.leaderboard import Board
from bench.board.measures import measure_named, scale
from bench.board.rows import Row
from bench.board.statistics import Estimate
from bench.render.page.figure import HEAD, Drawing, Figure
from bench.render.page.svg import Plot, spanning
from bench.render.page.tables import Looks
from bench.render.section import Column
from bench.render.sections import averages_first
from bench.render.wording import one_line, row_text

_STEP = 22.0  # from a method to the next
_AROUND = 50.0
_COLUMNS = (*HEAD, Column("n"), Column("mean"), Column("±"))


@dataclass(frozen=True)
class Asked:
    """Which measure, of which methods, under which name."""

    measure: str
    title: str
    axis: str
    about: str


GAIN = Asked(
    "gain", "Gain over finetune", "points of the task's score",
    "Score less finetune's on the same seeds: means of n paired differences with their 95 % "
    "t-intervals. An interval that holds 0 shows no difference; the verdicts "
    "count the comparisons, too.",
)  # fmt: skip
DRIFT = Asked(
    "drift", "How far the weights went", "squared distance ‖θ − θ0‖²",
    "Of the pretrained weights, after tuning; means over n seeds, 95 % t-intervals.",
)  # fmt: skip


def dots(board: Board, looks: Looks, asked: Asked) -> Figure:
    """A drawing per task and for the averages, a line per method that has a value."""
    drawn = []
    for table in averages_first(board):
        known = [row for row in table.rows if row.values[asked.measure]]
        known.sort(key=lambda row: looks[row.method].number)
        if known:
            drawn.append(_drawing(one_line(table.title), known, looks, asked))
    return Figure(asked.title, asked.about, _COLUMNS, tuple(drawn))


def _drawing(title: str, rows: Sequence[Row], looks: Looks, asked: Asked) -> Drawing:
    measure, lower = measure_named(asked.measure), rows[0].lower
    factor = scale(measure.unit, lower)
    found = {row.method: row.values[asked.measure] for row in rows}
    ends = [end for one in found.values() if one for end in _ends(one, factor)]
    signed = measure.versus == "difference"
    plot = Plot(
        x=spanning(ends, [0.0] if signed else []),
        y=(-0.5, len(rows) - 0.5),
        x_name=asked.axis,
        y_name="",
        height=_AROUND + _STEP * len(rows),
        left=110.0,
        right=14.0,
        rows=True,
    )
    if signed:
        plot.rule(x=0.0)
    for place, row in enumerate(reversed(rows)):
        look, one = looks[row.method], found[row.method]
        if one:
            at = (factor * one.mean, float(place))
            plot.spread(look, at, factor * (one.half or 0.0), None)
            plot.mark(look, at, _said(row, asked))
        plot.label(look, 102.0, plot.up(place) + 3.5, row.method, "end")
    drawing = plot.markup(f"{asked.title}, {title}", "; ".join(_said(row, asked) for row in rows))
    return Drawing(title, drawing, tuple(_cells(title, row, asked.measure) for row in rows))


def _ends(found: Estimate, factor: float) -> tuple[float, float]:
    half = found.half or 0.0
    return factor * (found.mean - half), factor * (found.mean + half)


def _said(row: Row, asked: Asked) -> str:
    return " ".join((row.method, *row_text(row, asked.measure)))


def _cells(title: str, row: Row, measure: str) -> tuple[str, ...]:
    one = row.values[measure]
    return (title, one_line(row.method), str(one.n if one else 0), *row_text(row, measure))
