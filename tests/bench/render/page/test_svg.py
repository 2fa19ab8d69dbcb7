"""Scales, ticks and places of labels, against their definitions."""

from __future__ import annotations

import itertools
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.render.page.svg import (
    Axis,
    Look,
    Plot,
    apart,
    overlap,
    seen,
    shortened,
    spanning,
    tick_text,
    ticks,
)

FINITE = st.floats(-1e6, 1e6, allow_nan=False)


@given(FINITE, st.floats(1e-6, 1e6))
def test_ticks_are_round_and_inside(low: float, width: float) -> None:
    high = low + width
    if not high > low:
        return
    found = ticks(low, high)
    slack = 1e-6 * max(abs(low), abs(high), width)
    assert all(low - slack <= tick <= high + slack for tick in found) and len(found) <= 5
    steps = {round(b - a, 9) for a, b in itertools.pairwise(found)}
    if width > 1e-3 and len(found) > 1:
        step = max(steps)
        mantissa = step / 10 ** math.floor(math.log10(step) + 1e-6)
        assert min(abs(mantissa - m) for m in (1, 2, 5, 10)) < 0.01


def test_ticks_that_people_would_write() -> None:
    assert ticks(0, 1) == [0, 0.5, 1]
    assert ticks(0, 0.9) == [0, 0.2, 0.4, 0.6, 0.8]
    assert ticks(-3.2, 7.9) == [-2, 0, 2, 4, 6] and ticks(60, 64.2) == [60, 61, 62, 63, 64]
    assert ticks(3, 3) == [3]
    assert [tick_text(v) for v in (0.1, -2.0, 25000.0, -0.0)] == ["0.1", "−2", "25,000", "0"]


def test_an_axis_is_linear_or_logarithmic() -> None:
    assert Axis(0, 10, 100, 200)(2.5) == 125
    assert Axis(10, 0, 100, 200)(2.5) == 175
    log = Axis(0.01, 1, 0, 100, log=True)
    assert log(0.1) == pytest.approx(50) and log.ticks == pytest.approx(
        [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0]
    )


@given(st.lists(st.floats(0, 200), min_size=1, max_size=8).map(sorted))
def test_labels_are_pushed_apart_and_stay_in_order(wanted: list[float]) -> None:
    places = apart(wanted, 12, 0, 200)
    gaps = [b - a for a, b in itertools.pairwise(places)]
    assert all(gap >= 12 - 1e-9 for gap in gaps) and max(places) <= 200 + 1e-9
    if all(b - a >= 12 for a, b in itertools.pairwise(wanted)):
        assert places == wanted


def test_an_extent_holds_its_values_and_is_never_empty() -> None:
    low, high = spanning([1.0, 3.0], [0.0])
    assert low < 0 and high > 3
    for value in (0.0, 5.0, -2.0):
        low, high = spanning([value])
        assert low < value < high


def test_intervals_take_two_thirds_of_the_room_at_most() -> None:
    assert seen([0.0, 1.0], [-50.0, 0.5, 50.0]) == [-1.0, 0.5, 2.0]
    assert seen([1.0, 1.0], [-50.0, 50.0]) == [-50.0, 50.0]


@given(*[st.tuples(*[st.integers(0, 6)] * 4)] * 2)
def test_two_boxes_share_the_cells_that_both_cover(
    a: tuple[int, int, int, int], b: tuple[int, int, int, int]
) -> None:
    def cells(box: tuple[int, int, int, int]) -> set[tuple[int, int]]:
        x, y, w, h = box
        return {(i, j) for i in range(x, x + w) for j in range(y, y + h)}

    as_floats = [tuple(map(float, box)) for box in (a, b)]
    assert overlap(*as_floats) == len(cells(a) & cells(b))  # type: ignore[arg-type]


def test_a_method_is_told_by_colour_shape_and_dash() -> None:
    looks = [Look(f"m{i}", i) for i in range(25)]
    assert len({(look.classes, look.shape, look.dash) for look in looks}) == 25
    assert looks[0].classes == "m m0"


def test_a_drawing_names_its_axes_and_is_named() -> None:
    plot = Plot((0, 1), (0, 2), "steps", "nats")
    plot.line(Look("ewc", 1), [(0, 0), (1, 2)])
    text = plot.markup("loss", "ewc ends at 2")
    assert 'aria-label="loss. ewc ends at 2"' in text and ">steps<" in text and ">nats<" in text
    (points,) = re.findall(r'points="([^"]*)"', text)
    assert points == f"{plot.across(0):.1f},{plot.up(0):.1f} {plot.across(1):.1f},{plot.up(2):.1f}"


def test_long_names_are_told_apart_at_either_end() -> None:
    names = [f"recadam[k_fraction=0.02,gamma={gamma}]" for gamma in (0.5, 5.0, 50.0, 500.0)]
    names += ["recadam:anchor_only[k_fraction=0.02,gamma=500.0]", "recadam:warmup_only"]
    shown = [shortened(name) for name in names]
    assert len(set(shown)) == len(names) and {len(name) for name in shown} == {15}
    assert shortened("child_tuning") == "child_tuning"
