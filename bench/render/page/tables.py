"""A section as a table that can be sorted and filtered."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from bench.render.page.svg import Look
from bench.render.page.tags import Markup, joined, tag
from bench.render.section import Column, Section

_WORDY = 24  # characters from which on a column's cells are sentences
_JOINT = re.compile(r"(?=\[)|(?<=[,+])")
_MANY = 8  # rows from which on a filter helps
Looks = Mapping[str, Look]
"""What a method is called -> how it is drawn."""


def section_table(section: Section, looks: Looks) -> Markup:
    """A section with its title as the caption and its notes below."""
    notes = [tag("li", note) for note in section.notes]
    return tag(
        "div",
        table(section.title, section.columns, section.rows, looks),
        tag("ul", *notes, class_="notes") if notes else None,
        class_="block",
    )


def table(
    title: str, columns: Sequence[Column], rows: Sequence[Sequence[str]], looks: Looks
) -> Markup:
    """A table; figures stand right, a `*` in front of one is bold, and every heading sorts."""
    heads = [tag("th", _button(c.heading), class_=_side(c), scope="col") for c in columns]
    body = [_row(columns, row, looks) for row in rows]
    whole = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *body), aria_label=title)
    return joined(
        tag("p", title, class_="caption"),
        _filter(title) if len(rows) > _MANY else None,
        scrolled(whole, title),
    )


def scrolled(table: Markup, title: str, class_: str = "scroll") -> Markup:
    """A table in a box of its own, which the keyboard can scroll."""
    return tag("div", table, class_=class_, tabindex="0", role="region", aria_label=title)


def _filter(title: str) -> Markup:
    """A field that shows the rows with what is typed."""
    label = f"Rows that hold (words, all of them): {title}"
    field = tag("input", type="search", placeholder="filter rows", aria_label=label)
    return tag("div", field, tag("output", ""), class_="filter")


def _button(heading: str) -> Markup:
    lines = heading.split("\n")
    parts: list[str] = []
    for number, line in enumerate(lines):
        parts += [tag("br"), line] if number else [line]
    return tag("button", *parts, type="button")


def _side(column: Column) -> str | None:
    return ("l w" if column.words > _WORDY else "l") if column.left else None


def _row(columns: Sequence[Column], row: Sequence[str], looks: Looks) -> Markup:
    number: int | None = None
    cells = []
    for i, (column, text) in enumerate(zip(columns, row, strict=True)):
        look = looks.get(text)
        number = look.number if look and number is None else number
        best = text.startswith("*") and not column.left
        shown: str = tag("b", text[1:]) if best else text
        if look:
            shown = named(look)
        name, more = ("th", {"scope": "row"}) if i == 0 else ("td", {})
        classes = f"{_side(column) or ''} {'who' if look else ''}".strip()
        cells.append(tag(name, shown, class_=classes or None, **more))
    return tag("tr", *cells, data_m=number)


def named(look: Look) -> Markup:
    """A method's mark and name; a long name may be broken at its joints."""
    first, *rest = _JOINT.split(look.name)
    name = tag("span", first, *(each for part in rest for each in (tag("wbr"), part)))
    return joined(swatch(look), name)


def swatch(look: Look) -> Markup:
    """A method's mark, in front of its name."""
    mark = tag("path", d=look.shape, class_="mark")
    box = {"viewBox": "-7 -7 14 14", "width": "10", "height": "10"}
    return tag("svg", mark, class_=f"swatch {look.classes}", aria_hidden="true", **box)
