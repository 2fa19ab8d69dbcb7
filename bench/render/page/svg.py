"""Plots as SVG: a frame with two axes, and marks, lines and labels in it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bench.render.page.tags import Markup, tag

WIDTH, HEIGHT = 340.0, 230.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 92.0, 24.0, 40.0
_CHARACTER, _LINE = 5.7, 12.0  # of a label, in the units of the drawing
_LONGEST, _END = 15, 6  # characters of a label, and of those the last
_ROOM = 0.06  # around the data, as a share of it
_COLOURS = ("#555", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a6d00")
_STYLE = (
    "text{font:11px sans-serif;fill:#333}.line{fill:none;stroke:currentColor;stroke-width:1.8}"
    ".mark,.name{fill:currentColor}.grid{stroke:#ddd}.axis{stroke:#333}.lead{stroke:#bbb}"
    + "".join(f".m{number}{{color:{colour}}}" for number, colour in enumerate(_COLOURS))
)
_SHAPES = (
    "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0z",
    "M-3.6,-3.6h7.2v7.2h-7.2z",
    "M0,-4.8L4.6,3.4H-4.6z",
    "M0,-5L5,0L0,5L-5,0z",
    "M0,4.8L4.6,-3.4H-4.6z",
    "M-1.6,-4.6h3.2v3h3v3.2h-3v3h-3.2v-3h-3v-3.2h3z",
)


@dataclass(frozen=True)
class Look:
    """How a method is drawn: a colour, a shape and a dash, so that none is needed to tell it."""

    name: str
    number: int  # 0 is the reference

    @property
    def classes(self) -> str:
        """Its colour, as a style class."""
        return f"m m{(self.number - 1) % 8 + 1}" if self.number else "m m0"

    @property
    def shape(self) -> str:
        """Its mark, around (0, 0)."""
        return _SHAPES[self.number % len(_SHAPES)]

    @property
    def dash(self) -> str | None:
        """What tells its line from one of the same colour."""
        turn = (self.number - 1) // 8 if self.number else 0
        return (None, "5 3", "1.5 3", "8 3 1.5 3")[turn % 4]


def shortened(name: str) -> str:
    """A label of a drawing. What tells methods apart stands at either end of their names."""
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - _END - 1]}…{name[-_END:]}"


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers from `low` to `high`, `most` at the most: steps of 1, 2 or 5 times a power of
    ten."""
    if not high > low:
        return [low]
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * m for m in (1, 2, 5, 10, 20) if _count(low, high, power * m) <= most)
    return [round(i * step, 12) for i in range(math.ceil(low / step - 1e-9), _last(high, step) + 1)]


def _count(low: float, high: float, step: float) -> int:
    return _last(high, step) - math.ceil(low / step - 1e-9) + 1


def _last(high: float, step: float) -> int:
    return math.floor(high / step + 1e-9)


def tick_text(value: float) -> str:
    """A number on an axis."""
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value + 0.0:.4g}".replace("-", "−")


@dataclass(frozen=True)
class Axis:
    """From data to places on the drawing."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, at = (math.log10(v) if self.log else v for v in (self.low, self.high, value))
        return self.start + (at - low) / (high - low) * (self.end - self.start)

    @property
    def ticks(self) -> list[float]:
        """Where it has a number."""
        if not self.log:
            return ticks(self.low, self.high)
        low, high = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        every = [
            m * 10.0**e
            for e in range(low, high + 1)
            for m in ((1, 2, 5) if high - low < 3 else (1,))
        ]
        return [value for value in every if self.low <= value <= self.high]


def spanning(values: Iterable[float], also: Sequence[float] = ()) -> tuple[float, float]:
    """The least interval with all values in it, with some room around them; never empty."""
    known = [*values, *also]
    low, high = min(known), max(known)
    room = _ROOM * (high - low) or abs(high) * _ROOM or 1.0
    return low - room, high + room


def seen(values: Sequence[float], ends: Iterable[float]) -> list[float]:
    """Of the `ends` of intervals around `values`, what leaves the values a third of the room: where
    an interval reaches farther, it is cut off."""
    low, high = min(values), max(values)
    reach = high - low or math.inf
    return [min(max(end, low - reach), high + reach) for end in ends]


@dataclass
class Plot:
    """One drawing. `x` and `y` are the data's extent; labels are put at the end."""

    x: tuple[float, float]
    y: tuple[float, float]
    x_name: str
    y_name: str
    x_log: bool = False
    y_log: bool = False
    height: float = HEIGHT
    left: float = _LEFT
    right: float = _RIGHT
    rows: bool = False  # whether what stands upwards is no number
    marks: list[Markup] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.across = Axis(*self.x, self.left, WIDTH - self.right, self.x_log)
        self.up = Axis(*self.y, self.height - _BOTTOM, 4.0 if self.rows else _TOP, self.y_log)

    def line(self, look: Look, points: Sequence[tuple[float, float]], kind: str = "line") -> None:
        """A line through the points."""
        places = " ".join(f"{self.across(x):.1f},{self.up(y):.1f}" for x, y in points)
        dash = look.dash if kind == "line" else None
        self._add(tag("polyline", points=places, class_=kind, stroke_dasharray=dash), look)

    def band(self, look: Look, points: Sequence[tuple[float, float, float]]) -> None:
        """The interval around a line: x, low, high."""
        there = [f"{self.across(x):.1f},{self.up(high):.1f}" for x, _, high in points]
        back = [f"{self.across(x):.1f},{self.up(low):.1f}" for x, low, _ in reversed(points)]
        self._add(tag("path", d=f"M{'L'.join([*there, *back])}z", class_="band"), look)

    def spread(
        self, look: Look, at: tuple[float, float], dx: float | None, dy: float | None
    ) -> None:
        """The intervals of a point, to both sides."""
        x, y = at
        for half, one, two in (
            (dx, (x - (dx or 0), y), (x + (dx or 0), y)),
            (dy, (x, y - (dy or 0)), (x, y + (dy or 0))),
        ):
            if half is not None:
                ends = {"x1": self._x(one[0]), "y1": self._y(one[1])}
                ends |= {"x2": self._x(two[0]), "y2": self._y(two[1])}
                self._add(tag("line", class_="spread", **ends), look)

    def mark(self, look: Look, at: tuple[float, float], said: str, kind: str = "mark") -> None:
        """A point; `said` is shown when it is pointed at."""
        place = f"translate({self.across(at[0]):.1f},{self.up(at[1]):.1f})"
        shown = tag("path", tag("title", said), d=look.shape, transform=place, class_=kind)
        self._add(shown, look)

    def rule(self, y: float | None = None, x: float | None = None, kind: str = "rule") -> None:
        """A line from side to side, or from top to bottom."""
        if y is not None:
            ends = (self.across.start, self.up(y), self.across.end, self.up(y))
        else:
            place = self.across(x or 0.0)
            ends = (place, self.up.start, place, self.up.end)
        x1, y1, x2, y2 = ends
        self.marks.append(tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind))

    def bar_across(
        self, look: Look, reach: tuple[float, float], row: float, thick: float, kind: str
    ) -> None:
        """A bar from left to right on a row."""
        x, end, y = self.across(reach[0]), self.across(reach[1]), self.up(row) - thick / 2
        size = {"width": max(0.0, end - x), "height": thick}
        self._add(tag("rect", x=x, y=y, class_=kind, **size), look)

    def bar_up(self, look: Look, sides: tuple[float, float], top: float, kind: str) -> None:
        """A bar that stands on 0."""
        x, y = self.across(sides[0]), self.up(top)
        size = {"width": self.across(sides[1]) - x - 1, "height": self.up(0) - y}
        self._add(tag("rect", x=x, y=y, class_=kind, **size), look)

    def row(self, name: str, row: float) -> None:
        """The name of a row, in front of it."""
        x, y = self.left - 8, self.up(row) + 3.5
        self.marks.append(tag("text", name, x=x, y=y, text_anchor="end"))

    def said(self, at: float, row: float, text: str) -> None:
        """Words behind what reaches to `at` on a row; above it where it reaches far."""
        x, y, room = self.across(at) + 5, self.up(row) + 3.5, len(text) * _CHARACTER
        if x + room > WIDTH:
            x, y = self.across.start, self.up(row) - 10
        self.marks.append(tag("text", text, x=x, y=y))

    def label(self, look: Look, x: float, y: float, text: str, anchor: str = "start") -> None:
        """A name at a place of the drawing."""
        shown = shortened(text)
        more = tag("title", text) if shown != text else None
        anchor_ = anchor if anchor != "start" else None
        self._add(tag("text", shown, more, x=x, y=y, text_anchor=anchor_, class_="name"), look)

    def names_at_the_right(self, ends: Sequence[tuple[Look, float]]) -> None:
        """The name of each line beside its end, pushed apart where they would overlap."""
        wanted = sorted((self.up(y), look.number, look) for look, y in ends)
        places = apart([y for y, _, _ in wanted], _LINE, _TOP, self.height - _BOTTOM)
        for (y, _, look), place in zip(wanted, places, strict=True):
            x = self.across.end
            if abs(place - y) > 2:
                self._add(tag("line", x1=x, y1=y, x2=x + 7, y2=place, class_="lead"), look)
            self.label(look, x + 9, place + 3.5, look.name)

    def names_beside(self, points: Sequence[tuple[Look, tuple[float, float]]]) -> None:
        """The name of each point where there is room for it."""
        marks = [(self.across(x) - 5, self.up(y) - 5, 10.0, 10.0) for _, (x, y) in points]
        taken: list[Box] = list(marks)
        for look, (x, y) in points:
            box, anchor = self._room_for(look, self.across(x), self.up(y), taken)
            taken.append(box)
            start = box[0] if anchor == "start" else box[0] + box[2]
            self.label(look, start, box[1] + _LINE - 3, look.name, anchor)

    def _room_for(self, look: Look, x: float, y: float, taken: Sequence[Box]) -> tuple[Box, str]:
        """The place around a point whose label covers least of what is there."""
        width = min(len(look.name), _LONGEST) * _CHARACTER
        found = []
        for reach in (0.0, 8.0, 18.0):
            for left, top, anchor in (
                (x + 5, y - 15 - reach, "start"),
                (x + 5, y + 4 + reach, "start"),
                (x - 5 - width, y - 15 - reach, "end"),
                (x - 5 - width, y + 4 + reach, "end"),
                (x - width / 2, y - 18 - reach, "start"),
                (x - width / 2, y + 6 + reach, "start"),
            ):
                box = (left, top, width, _LINE)
                outside = max(0.0, self.across.start - left) + max(0.0, left + width - WIDTH)
                outside += max(0.0, _TOP - 10 - top) + max(0.0, top + _LINE - self.up.start)
                covered = sum(overlap(box, other) for other in taken)
                found.append((covered + 20 * outside + reach, box, anchor))
        _, box, anchor = min(found, key=lambda one: one[0])
        return box, anchor

    def markup(self, title: str, described: str) -> Markup:
        """The whole drawing, which a screen reader names by `title` and `described`."""
        parts = [*self._frame(), *self.marks]
        box = f"0 0 {WIDTH:.0f} {self.height:.0f}"
        label = f"{title}. {described}"
        return tag("svg", *parts, viewBox=box, role="img", aria_label=label)

    def file(self, title: str, described: str) -> str:
        """The whole drawing as a file of its own, with its colours in it."""
        drawn = str(self.markup(title, described))
        start = '<svg xmlns="http://www.w3.org/2000/svg" '
        body = drawn.removeprefix("<svg ").partition(">")
        return f"{start}{body[0]}><style>{_STYLE}</style>{body[2]}\n"

    def _frame(self) -> list[Markup]:
        bottom = self.up.start
        parts = []
        for value in () if self.rows else self.up.ticks:
            y = self.up(value)
            ends = {"x1": self.across.start, "x2": self.across.end, "y1": y, "y2": y}
            parts.append(tag("line", class_="grid", **ends))
            x = self.across.start - 6
            parts.append(tag("text", tick_text(value), x=x, y=y + 3.5, text_anchor="end"))
        for value in self.across.ticks:
            x, y = self.across(value), bottom + 14
            parts.append(tag("line", x1=x, x2=x, y1=bottom, y2=bottom + 4, class_="axis"))
            parts.append(tag("text", tick_text(value), x=x, y=y + 1, text_anchor="middle"))
        ends = {"x1": self.across.start, "x2": self.across.end, "y1": bottom, "y2": bottom}
        parts.append(tag("line", class_="axis", **ends))
        middle = (self.across.start + self.across.end) / 2
        x_name = {"x": middle, "y": self.height - 7, "text_anchor": "middle"}
        parts.append(tag("text", self.x_name, class_="axis-name", **x_name))
        parts.append(tag("text", self.y_name, class_="axis-name", x=0.0, y=10.0))
        return parts

    def _add(self, mark: Markup, look: Look) -> None:
        self.marks.append(tag("g", mark, class_=look.classes, data_m=look.number))

    def _x(self, value: float) -> float:
        return min(max(self.across(value), self.across.start), self.across.end)

    def _y(self, value: float) -> float:
        return max(min(self.up(value), self.up.start), self.up.end)


Box = tuple[float, float, float, float]
"""Left, top, width, height."""


def overlap(a: Box, b: Box) -> float:
    """The area that two boxes share."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(0.0, width) * max(0.0, height)


def apart(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places in the order of `wanted`, which is sorted, as near to them as a `gap` between them
    allows; between `low` and `high` where there is room."""
    places: list[float] = []
    for value in wanted:
        places.append(max(value, places[-1] + gap) if places else max(value, low))
    ceiling = high
    for i in range(len(places) - 1, -1, -1):
        places[i] = min(places[i], ceiling)
        ceiling = places[i] - gap
    return places
