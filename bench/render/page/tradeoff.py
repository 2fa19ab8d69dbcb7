"""Target against retention: intervals, the Pareto front, and paths from θ0 to θ."""

from __future__ import annotations

from collections.abc import Sequence

from bench.board.curves import Line, Panel, paths
from bench.board.front import front
from bench.board.leaderboard import Board
from bench.board.measures import SCORE, scale
from bench.board.rows import Row
from bench.board.statistics import Estimate
from bench.render.page.figure import HEAD, Drawing, Figure
from bench.render.page.svg import Look, Plot, seen, spanning
from bench.render.page.tables import Looks
from bench.render.page.tags import Markup
from bench.render.section import Column
from bench.render.sections import averages_first
from bench.render.wording import one_line, row_text

_ABOUT = (
    "Score after tuning (up is better; of a perplexity, down) against the rise of the loss on the "
    "retention text, in nats per token (left is better). Bars: 95 % t-intervals over n seeds, cut "
    "where they leave the frame. The thin line joins the methods that none beats on both: the "
    "Pareto front of the means."
)
_ON_PATHS = " Dotted: the score at θ0 + α(θ − θ0), from the base model to each method."
_COLUMNS = (
    *HEAD,
    Column("n"),
    Column("score"),
    Column("±"),
    Column("retention\nrise, nats per token"),
    Column("±"),
    Column("on the front", left=True),
)


def tradeoff(board: Board, looks: Looks) -> Figure:
    """A drawing for the average and per task, of the methods that have both measures."""
    steps = {panel.task: panel for panel in paths(board.cells, board.names)}
    drawn = []
    for table in averages_first(board):
        known = [row for row in table.rows if row.values["after"] and row.values["retention"]]
        if len(known) > 1:
            title, kept = one_line(table.title), _front(known)
            drawing = _drawing(title, known, kept, looks, steps.get(table.task))
            rows = tuple(_cells(title, row, row.method in kept) for row in known)
            drawn.append(Drawing(title, drawing, rows))
    about = _ABOUT + (_ON_PATHS if steps else "")
    return Figure("Score against what is forgotten", about, _COLUMNS, tuple(drawn))


def _drawing(
    title: str, rows: Sequence[Row], kept: Sequence[str], looks: Looks, path: Panel | None
) -> Markup:
    """`kept` are the methods on the front."""
    lower, factor = rows[0].lower, scale(SCORE, rows[0].lower)
    places = {row.method: _place(row) for row in rows}
    walks = [line for line in (path.lines if path else ()) if line.method in places]
    walked = [point for line in walks for point in _walk(line, factor)]
    spreads = {row.method: (_half(row, "retention"), factor * _half(row, "after")) for row in rows}
    ends = [
        (x + sign * spreads[name][0], y + sign * spreads[name][1])
        for name, (x, y) in places.items()
        for sign in (-1, 1)
    ]
    known = [*places.values(), *walked]
    plot = Plot(
        x=spanning(seen([0.0, *(x for x, _ in known)], [x for x, _ in (*ends, *known)]), [0.0]),
        y=spanning(seen([y for _, y in known], [y for _, y in (*ends, *known)])),
        x_name="retention: rise, nats per token",
        y_name="perplexity" if lower else "score ×100",
        right=40.0,
    )
    plot.rule(x=0.0)
    plot.line(Look("", 0), [places[name] for name in kept], "front")
    for line in walks:
        plot.line(looks[line.method], _walk(line, factor), "walk")
    for row in rows:
        plot.spread(looks[row.method], places[row.method], *spreads[row.method])
    for row in rows:
        plot.mark(looks[row.method], places[row.method], _said(row))
    plot.names_beside([(looks[row.method], places[row.method]) for row in rows])
    return plot.markup(title, "; ".join(map(_said, rows)))


def _front(rows: Sequence[Row]) -> list[str]:
    sign = -1 if rows[0].lower else 1
    places = {row.method: _place(row) for row in rows}
    return front({name: (sign * y, x) for name, (x, y) in places.items()})


def _place(row: Row) -> tuple[float, float]:
    """The rise of the loss on the retention text, and the score as it is shown."""
    return _found(row, "retention").mean, scale(SCORE, row.lower) * _found(row, "after").mean


def _half(row: Row, name: str) -> float:
    return _found(row, name).half or 0.0


def _found(row: Row, name: str) -> Estimate:
    found = row.values[name]
    assert found is not None, "it was looked for"
    return found


def _walk(line: Line, factor: int) -> list[tuple[float, float]]:
    return [(point.x.mean, factor * point.y.mean) for point in line.points if point.x]


def _said(row: Row) -> str:
    score, retention = (row_text(row, name) for name in ("after", "retention"))
    return f"{row.method}: score {' '.join(score)}, retention {' '.join(retention)}, n {row.done}"


def _cells(title: str, row: Row, on_front: bool) -> tuple[str, ...]:
    figures = (*row_text(row, "after"), *row_text(row, "retention"))
    return (title, one_line(row.method), str(row.done), *figures, "yes" if on_front else "")
