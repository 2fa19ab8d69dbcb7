"""A figure: drawings side by side, what they show, and their data as a table behind them."""

from __future__ import annotations

from dataclasses import dataclass

from bench.render.page.tables import Looks, table
from bench.render.page.tags import Markup, tag
from bench.render.section import Column


@dataclass(frozen=True)
class Figure:
    """What stands in a figure; a drawing has a title, such as its task's."""

    title: str
    about: str  # what is drawn, in which units, of how many
    drawings: tuple[tuple[str, Markup], ...]
    columns: tuple[Column, ...]  # of its data
    rows: tuple[tuple[str, ...], ...]


def figure(found: Figure, looks: Looks) -> Markup:
    """As HTML."""
    drawn = [
        tag("div", tag("h5", title), drawing, class_="drawing") for title, drawing in found.drawings
    ]
    data = table(f"{found.title}: the data", found.columns, found.rows, looks)
    return tag(
        "figure",
        tag("figcaption", tag("h4", found.title), tag("p", found.about)),
        tag("div", *drawn, class_="drawings"),
        tag("details", tag("summary", "Data as a table"), data),
    )
