"""What LWF selects: of the base model's own answers those that are unlearned."""

from __future__ import annotations

from collections.abc import Sequence

from bench.board.leaderboard import Board
from bench.board.selected import STAGES, Counted, Histogram, Selected, histograms, selected
from bench.render.page.figure import HEAD, Drawing, Figure
from bench.render.page.svg import Look, Plot
from bench.render.page.tables import Looks
from bench.render.page.tags import Markup
from bench.render.section import Column
from bench.render.wording import MISSING, one_line

_HEIGHT, _BAR = 150.0, 14.0
_ABOUT = (
    "The base model's own answers to the forgetting prompts, means over n seeds: of all of them "
    "those that may be unlearned, and those that are. Where the truth is known, the part in "
    "full colour repeats what was planted and is outdated, the paler one is true, and of the rest "
    "it cannot be told."
)
_COLUMNS = (
    *HEAD,
    Column("n"),
    Column("which", left=True),
    Column("answers"),
    Column("conflicting"),
    Column("true"),
)
_ABOUT_BINS = (
    "The base model's answers that may be unlearned, by their forgetting confidence FC less the "
    "part that all share, divided by α; all n seeds together, those beyond the axis in the "
    "outermost bars. Full colour: those that are unlearned."
)
_BINS_COLUMNS = (
    *HEAD,
    Column("n"),
    Column("from, to", left=True),
    Column("may be unlearned"),
    Column("are unlearned"),
)


def selection(board: Board, looks: Looks) -> Figure:
    """A drawing per task and method that unlearns answers of the base model."""
    drawn = tuple(
        Drawing(_title(one), _stages(one, looks[one.method]), _rows(one))
        for one in selected(board.cells, board.names)
    )
    return Figure("LWF: who is selected", _ABOUT, _COLUMNS, drawn)


def _title(found: Selected | Histogram) -> str:
    return f"{one_line(found.title)}, {one_line(found.method)}"


def _stages(found: Selected, look: Look) -> Markup:
    most = max(one.answers for one in found.stages.values())
    plot = Plot(
        x=(0.0, 1.12 * most),
        y=(-0.5, len(STAGES) - 0.5),
        x_name="answers",
        y_name="",
        height=_HEIGHT,
        left=110.0,
        right=14.0,
        rows=True,
    )
    for place, (stage, title) in enumerate(reversed(STAGES.items())):
        counted = found.stages[stage]
        plot.row(title, place)
        for low, high, kind in _parts(counted):
            plot.bar_across(look, (low, high), place, _BAR, kind)
        plot.said(counted.answers, place, _share(counted))
    said = "; ".join(f"{STAGES[stage]}: {_said(one)}" for stage, one in found.stages.items())
    return plot.markup(f"Who is selected, {_title(found)}", said)


def _parts(found: Counted) -> Sequence[tuple[float, float, str]]:
    """From where to where which part of a bar reaches."""
    if found.conflicting is None or found.true is None:
        return [(0.0, found.answers, "bar rest")]
    told = found.conflicting + found.true
    return [
        (0.0, found.conflicting, "bar conflicting"),
        (found.conflicting, told, "bar true"),
        (told, found.answers, "bar rest"),
    ]


def _share(found: Counted) -> str:
    """How many, and the share of them that is outdated."""
    number = f"{found.answers:.0f}"
    if found.conflicting is None or not found.answers:
        return number
    return f"{number}, {100 * found.conflicting / found.answers:.0f} % outdated"


def _said(found: Counted) -> str:
    told = f"conflicting {_text(found.conflicting)}, true {_text(found.true)}"
    return f"{found.answers:.4g} answers, {told}"


def _text(value: float | None) -> str:
    return MISSING if value is None else f"{value:.4g}"


def _rows(found: Selected) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (*_names(found), STAGES[stage], *map(_text, (one.answers, one.conflicting, one.true)))
        for stage, one in found.stages.items()
    )


def _names(found: Selected | Histogram) -> tuple[str, str, str]:
    return one_line(found.title), one_line(found.method), str(found.seeds)


def confidence(board: Board, looks: Looks) -> Figure:
    """The histogram of the forgetting confidence, a drawing per task and method."""
    drawn = tuple(
        Drawing(_title(one), _bars(one, looks[one.method]), _bins(one))
        for one in histograms(board.cells, board.names)
    )
    return Figure("LWF: forgetting confidence", _ABOUT_BINS, _BINS_COLUMNS, drawn)


def _bars(found: Histogram, look: Look) -> Markup:
    plot = Plot(
        x=(found.edges[0], found.edges[-1]),
        y=(0.0, 1.05 * max(found.kept)),
        x_name="(FC − shared part) / α",
        y_name="answers",
        right=14.0,
    )
    for low, high, kept, chosen in zip(
        found.edges, found.edges[1:], found.kept, found.unlearned, strict=False
    ):
        plot.bar_up(look, (low, high), kept, "bar rest")
        plot.bar_up(look, (low, high), chosen, "bar")
    said = f"{sum(found.kept)} answers may be unlearned, {sum(found.unlearned)} are"
    return plot.markup(f"Forgetting confidence, {_title(found)}", said)


def _bins(found: Histogram) -> tuple[tuple[str, ...], ...]:
    ends = zip(found.edges, found.edges[1:], strict=False)
    return tuple(
        (*_names(found), f"{low:.4g} to {high:.4g}", str(kept), str(chosen))
        for (low, high), kept, chosen in zip(ends, found.kept, found.unlearned, strict=True)
    )
