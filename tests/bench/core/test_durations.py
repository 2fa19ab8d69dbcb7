"""Lengths of time and deadlines."""

from __future__ import annotations

import pytest

from bench.core import durations
from bench.core.durations import NEVER, Deadline, clock, seconds_of
from bench.core.errors import BenchError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2h", 7200), ("90m", 5400), ("3600", 3600), ("1h30m", 5400), ("1.5h", 5400), ("1d2h", 93600)],
)
def test_lengths_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert seconds_of(text, "--time-limit") == seconds


@pytest.mark.parametrize(
    "text", ["", "soon", "2 h", "h", "-5", "0", "0m", "1e9", "nan", "2h!", "2x"]
)
def test_what_is_no_length_is_named(text: str) -> None:
    with pytest.raises(
        BenchError, match=rf"^--time-limit {text!r} is not a length of time such as"
    ):
        seconds_of(text, "--time-limit")


def test_lengths_are_shown_as_clocks() -> None:
    assert [clock(s) for s in (8.6, 60, 123, 3723)] == ["9 s", "1:00", "2:03", "1:02:03"]


def test_what_fits_before_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(durations.time, "monotonic", lambda: now[0])
    day, hour = Deadline.after(86_400), Deadline.after(3600)
    assert day.left == 86_400 - 60 and hour.left == 3600 - 60
    assert Deadline.after(100).left == pytest.approx(98)  # 2 % are for checkpoints
    assert hour.fits(3540) and hour.fits(None)
    now[0] += 1000
    assert hour.fits(2540) and not hour.fits(2541) and not hour.fits(3540)
    assert hour.fits(3541)  # fits no run whatever, so it begins in the first half of one
    now[0] += 1000
    assert not hour.fits(3541) and hour.fits(None)
    now[0] += 2000
    assert hour.left < 0 and not hour.fits(None) and not hour.fits(1)
    assert NEVER.fits(1e12) and NEVER.fits(None)
