"""A figure: drawings side by side, what they show, and their data as a table behind them."""

from __future__ import annotations

from dataclasses import dataclass

from bench.render.page.tables import Looks, table
from bench.render.page.tags import Markup, tag
from bench.render.section import Column

HEAD = (Column("task", left=True), Column("method", left=True))
"""The first columns of data that is by task and method."""


@dataclass(frozen=True)
class Drawing:
    """One panel of a figure."""

    title: str  # such as its task's
    markup: Markup
    rows: tuple[tuple[str, ...], ...]  # its data, in the columns of the figure


@dataclass(frozen=True)
class Figure:
    """What stands in a figure; without drawings it is not shown."""

    title: str
    about: str  # what is drawn, in which units, of how many
    columns: tuple[Column, ...]  # of its data
    drawings: tuple[Drawing, ...]


def figure(found: Figure, looks: Looks) -> Markup:
    """As HTML."""
    drawn = [
        tag("div", tag("h5", one.title), one.markup, class_="drawing") for one in found.drawings
    ]
    rows = [row for one in found.drawings for row in one.rows]
    data = table(f"{found.title}: the data", found.columns, rows, looks)
    return tag(
        "figure",
        tag("figcaption", tag("h4", found.title), tag("p", found.about)),
        tag("div", *drawn, class_="drawings"),
        tag("details", tag("summary", "Data as a table"), data),
    )
