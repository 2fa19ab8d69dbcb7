"""RecAdam's slope against how far its weights went."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from bench.board.leaderboard import Board, Table
from bench.board.rows import Row
from bench.render.page.figure import Figure
from bench.render.page.svg import Plot, spanning
from bench.render.page.tables import Looks
from bench.render.page.tags import Markup
from bench.render.section import Column
from bench.render.wording import measure_text, one_line

_NAME = "recadam"
_ABOUT = (
    "‖θ − θ0‖² of the pretrained weights after tuning, against k, the slope of λ(t) per step (on a "
    "logarithmic axis); means over n seeds, 95 % t-intervals."
)
_COLUMNS = (
    Column("task", left=True),
    Column("method", left=True),
    Column("k"),
    Column("n"),
    Column("drift"),
    Column("±"),
)


def drift_by_k(board: Board, looks: Looks) -> Figure | None:
    """A drawing per task on which RecAdam was run with two slopes or more."""
    slopes = {
        name: float(settings["k"])
        for key, name in board.names.items()
        if key.method == _NAME and "k" in (settings := json.loads(key.settings))
    }
    drawn, rows = [], list[tuple[str, ...]]()
    for table in board.tables:
        known = [row for row in table.rows if row.method in slopes and row.values["drift"]]
        if len({slopes[row.method] for row in known}) > 1:
            drawn.append((one_line(table.title), _drawing(table, known, slopes, looks)))
            rows += [_cells(table, row, slopes[row.method]) for row in known]
    return (
        Figure("RecAdam: drift by k", _ABOUT, tuple(drawn), _COLUMNS, tuple(rows))
        if drawn
        else None
    )


def _drawing(
    table: Table, rows: Sequence[Row], slopes: Mapping[str, float], looks: Looks
) -> Markup:
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
        plot.mark(looks[row.method], places[row.method], " ".join((row.method, *_texts(row))))
    plot.names_beside([(looks[row.method], places[row.method]) for row in rows])
    said = "; ".join(" ".join((row.method, *_texts(row))) for row in rows)
    return plot.markup(f"RecAdam: drift by k, {one_line(table.title)}", said)


def _texts(row: Row) -> tuple[str, str]:
    return measure_text("drift", row.values["drift"], row.lower)


def _cells(table: Table, row: Row, slope: float) -> tuple[str, ...]:
    found = row.values["drift"]
    names = one_line(table.title), one_line(row.method), f"{slope:g}"
    return (*names, str(found.n if found else 0), *_texts(row))
