"""How cost grows: the power, its interval, the picture, and one small measurement of each kind.

(bench.speed.sizes makes the measurements.)
"""

from __future__ import annotations

import argparse
import xml.etree.ElementTree as ET

import pytest

from bench.core.errors import BenchError
from bench.speed import scaling, sizes
from bench.speed.scaling import Power, picture, power, powers


def test_a_power_by_hand() -> None:
    """Three points of 2 x^1.5 exactly; and with noise, against the textbook's formula."""
    exact = power([1, 4, 16], [2.0, 16.0, 128.0])
    assert exact.p == pytest.approx(1.5) and exact.half == pytest.approx(0, abs=1e-9)
    xs, ys = [0.0, 1.0, 2.0, 3.0], [0.0, 1.2, 1.8, 3.0]  # logarithms
    mean_x, mean_y = sum(xs) / 4, sum(ys) / 4
    spread = sum((x - mean_x) ** 2 for x in xs)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread
    left = sum((y - mean_y - slope * (x - mean_x)) ** 2 for x, y in zip(xs, ys, strict=True))
    half = 4.302653 * (left / 2 / spread) ** 0.5  # Student's t, 2 degrees of freedom
    found = power([2.718281828**x for x in xs], [2.718281828**y for y in ys])
    assert (found.p, found.half) == pytest.approx((slope, half), rel=1e-5)
    assert power([1, 2], [1.0, 2.0]) == Power(pytest.approx(1.0), None)


def test_worse_is_beyond_both_intervals() -> None:
    assert Power(1.5, 0.1).above(Power(1.2, 0.1))
    assert not Power(1.3, 0.1).above(Power(1.2, 0.1))


def test_a_picture_is_a_file_of_its_own() -> None:
    rounds = {1: [{"seconds": 1.0, "mib": 5.0}], 100: [{"seconds": 80.0, "mib": 500.0}]}
    drawn = ET.fromstring(picture("rows", {"finetune": rounds, "lwf": rounds}))
    assert drawn.tag == "{http://www.w3.org/2000/svg}svg"
    words = {text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")}
    assert {"finetune", "lwf", "training rows", "seconds", "10", "100"} <= words
    assert powers(rounds, "mib").p == pytest.approx(1.0)


@pytest.mark.usefixtures("registry_of_this_test")
@pytest.mark.parametrize(("axis", "size"), [("parameters", 1), ("rows", 16), ("cells", 3)])
def test_a_measurement_of_each_kind(axis: str, size: int) -> None:
    found = sizes.measured(axis, size, "finetune")
    assert 0 < found["seconds"] < 100 and found["mib"] > 10


def test_an_axis_that_there_is_not() -> None:
    given = argparse.Namespace(axes="width", most="", methods="finetune", pictures=None)
    with pytest.raises(BenchError, match="'width' is none of parameters, length, rows"):
        scaling.measure(given)
