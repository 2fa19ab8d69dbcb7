"""RecAdam's slope against how far its weights went."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from bench.board.leaderboard import Board
from bench.board.rows import Row
from bench.render.page.figure import HEAD, Drawing, Figure
from bench.render.page.svg import Plot, spanning
from bench.render.page.tables import Looks
from bench.render.section import Column
from bench.render.wording import one_line, row_text

_NAME = "recadam"
_ABOUT = (
    "‖θ − θ0‖² of the pretrained weights after tuning, against k, the slope of λ(t) per step (on a "
    "logarithmic axis); means over n seeds, 95 % t-intervals."
)
_COLUMNS = (*HEAD, Column("k"), Column("n"), Column("drift"), Column("±"))


def drift_by_k(board: Board, looks: Looks) -> Figure:
    """A drawing per task on which RecAdam was run with two slopes or more."""
    slopes = {
        name: float(settings["k"])
        for key, name in board.names.items()
        if key.method == _NAME and "k" in (settings := json.loads(key.settings))
    }
    drawn = []
    for table in board.tables:
        known = [row for row in table.rows if row.method in slopes and row.values["drift"]]
        if len({slopes[row.method] for row in known}) > 1:
            drawn.append(_drawing(one_line(table.title), known, slopes, looks))
    return Figure("RecAdam: drift by k", _ABOUT, _COLUMNS, tuple(drawn))


def _drawing(title: str, rows: Sequence[Row], slopes: Mapping[str, float], looks: Looks) -> Drawing:
    places = {r.method: (slopes[r.method], d.mean) for r in rows if (d := r.values["drift"])}
    halves = {r.method: d.half or 0.0 for r in rows if (d := r.values["drift"])}
    least, most = min(slopes[row.method] for row in rows), max(slopes[row.method] for row in rows)
    plot = Plot(
        x=(least / 1.5, most * 1.5),
        y=spanning([y + s * halves[name] for name, (_, y) in places.items() for s in (-1, 1)], [0]),
        x_name="k, per step",
        y_name="drift, squared distance",
        x_log=True,
        right=40.0,
    )
    for row in rows:
        plot.spread(looks[row.method], places[row.method], None, halves[row.method])
        plot.mark(looks[row.method], places[row.method], _said(row))
    plot.names_beside([(looks[row.method], places[row.method]) for row in rows])
    drawing = plot.markup(f"RecAdam: drift by k, {title}", "; ".join(map(_said, rows)))
    return Drawing(title, drawing, tuple(_cells(title, row, slopes[row.method]) for row in rows))


def _said(row: Row) -> str:
    return " ".join((row.method, *row_text(row, "drift")))


def _cells(title: str, row: Row, slope: float) -> tuple[str, ...]:
    found = row.values["drift"]
    names = title, one_line(row.method), f"{slope:g}"
    return (*names, str(found.n if found else 0), *row_text(row, "drift"))
