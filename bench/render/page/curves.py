"""Learning and forgetting curves, and whatever methods logged: lines over steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.board import curves
from bench.board.curves import Panel, Series, log_of
from bench.board.leaderboard import Board
from bench.board.statistics import Estimate
from bench.cells.result import CellResult
from bench.render.page.figure import Drawing, Figure
from bench.render.page.svg import Plot, spanning
from bench.render.page.tables import Looks
from bench.render.page.tags import Markup
from bench.render.section import Column
from bench.render.wording import MISSING, one_line


@dataclass(frozen=True)
class Quantity:
    """What is drawn over the steps."""

    title: str
    unit: str  # on the axis
    about: str = ""
    factor: float = 1.0
    band: bool = True  # whether its interval is drawn


_KNOWN = {
    "recadam_lambda": Quantity(
        "RecAdam: λ(t), the weight of the task", "λ, between 0 and 1",
        "1 − λ is the weight of the pull to θ0; k is its slope, t0 where it is one half.",
    ),
    "unlearned_nll": Quantity(
        "LWF: loss of the answers that are unlearned", "nats per token",
        "Of the batch of D_U at hand, before the step.",
    ),
    "at_cap": Quantity(
        "LWF: answers at their cap", "share of a batch",
        "Those whose loss is lwf.max_rise nats or more above the base model's: pulled back "
        "(lwf.taper), or let be.",
    ),
}  # fmt: skip
_LOSS = Quantity("Training loss", "nats", "Of the steps since the point before.", band=False)
_SCORE = Quantity("Learning: score on the probe", "score ×100", factor=100.0)
_RISE = Quantity(
    "Forgetting: loss on the retention text", "rise, nats per token", "On the probe's tokens."
)


def learning(board: Board, looks: Looks) -> list[Figure]:
    """Score, retention and training loss on the way."""
    found = (_SCORE, curves.probe_score), (_RISE, curves.probe_rise), (_LOSS, curves.loss)
    return [_figure(quantity, board, read, looks) for quantity, read in found]


def logged(board: Board, looks: Looks) -> list[Figure]:
    """What methods logged beside their loss, a figure each."""
    return [
        _figure(_KNOWN.get(name) or Quantity(f"Logged: {name}", name), board, log_of(name), looks)
        for name in curves.logged(board.cells)
    ]


def _figure(
    quantity: Quantity, board: Board, read: Callable[[CellResult], Series], looks: Looks
) -> Figure:
    """A drawing per task, of what is to `read` in its cells."""
    panels = curves.panels(board.cells, board.names, read)
    there = {line.method for panel in panels for line in panel.lines}
    methods = sorted(there, key=lambda name: looks[name].number)
    band = "Bands: 95 % t-intervals over them." if quantity.band else ""
    about = (f"By optimizer step; means over {_seeds(panels)} seeds.", quantity.about, band)
    return Figure(
        title=quantity.title,
        about=" ".join(filter(None, about)),
        columns=(Column("task", left=True), Column("step"), *map(Column, methods)),
        drawings=tuple(
            Drawing(
                one_line(panel.title),
                _drawing(quantity, panel, looks),
                _rows(quantity, panel, methods),
            )
            for panel in panels
        ),
    )


def _seeds(panels: Sequence[Panel]) -> str:
    """How many, such as "n = 3" or "n = 2 to 5"."""
    counts = sorted({line.seeds for panel in panels for line in panel.lines}) or [0]
    return f"n = {counts[0]}" + (f" to {counts[-1]}" if len(counts) > 1 else "")


def _drawing(quantity: Quantity, panel: Panel, looks: Looks) -> Markup:
    factor = quantity.factor
    values = [v for line in panel.lines for p in line.points for v in _ends(p.y, quantity)]
    steps = [point.at for line in panel.lines for point in line.points]
    plot = Plot(
        x=(min(steps), max(steps)) if len(set(steps)) > 1 else spanning(steps),
        y=spanning(values),
        x_name="optimizer steps",
        y_name=quantity.unit,
    )
    drawn = sorted(panel.lines, key=lambda line: -looks[line.method].number)
    for line in drawn if quantity.band else ():
        if line.seeds > 1 and len(line.points) > 1:
            ends = [(p.at, *_ends(p.y, quantity)) for p in line.points]
            plot.band(looks[line.method], ends)
    for line in drawn:
        plot.line(looks[line.method], [(p.at, factor * p.y.mean) for p in line.points])
    last = [(looks[line.method], factor * line.points[-1].y.mean) for line in panel.lines]
    plot.names_at_the_right(last)
    said = [f"{look.name} ends at {value:.4g}" for look, value in last]
    return plot.markup(f"{quantity.title}, {one_line(panel.title)}", "; ".join(said))


def _ends(found: Estimate, quantity: Quantity) -> tuple[float, float]:
    """The interval that is drawn, or the value twice."""
    half = (found.half or 0.0) if quantity.band else 0.0
    return quantity.factor * (found.mean - half), quantity.factor * (found.mean + half)


def _rows(quantity: Quantity, panel: Panel, methods: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """A row per step, and in it each method's value."""
    found = {
        line.method: {point.at: _text(point.y, quantity.factor) for point in line.points}
        for line in panel.lines
    }
    steps = sorted({at for values in found.values() for at in values})
    return tuple(
        (
            one_line(panel.title),
            f"{step:g}",
            *(found.get(name, {}).get(step, MISSING) for name in methods),
        )
        for step in steps
    )


def _text(found: Estimate, factor: float) -> str:
    half = "" if found.half is None else f" ±{factor * found.half:.2g}"
    return f"{factor * found.mean:.4g}{half}"
