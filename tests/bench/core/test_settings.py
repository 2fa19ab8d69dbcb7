"""Settings: types, ranges and names, each mistake with a message that helps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from bench.core.errors import BenchError
from bench.core.settings import changed, parse, setting


@dataclass(frozen=True)
class Example:
    rate: float = setting(0.1, "a rate", above=0.0, high=1.0)
    count: int | None = setting(None, "a count", low=1)
    mode: str = setting("fast", "a mode", choices=("fast", "slow"))
    flag: bool = setting(True, "a flag")


def test_values_come_from_text_or_toml() -> None:
    text = parse(Example, {"rate": "0.5", "count": "3", "mode": "slow", "flag": "false"}, "x")
    toml = parse(Example, {"rate": 0.5, "count": 3, "mode": "slow", "flag": False}, "x")
    assert text == toml == Example(0.5, 3, "slow", False)
    assert parse(Example, {"count": "none"}, "x").count is None
    assert parse(Example, {"rate": 1}, "x").rate == 1.0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rate": "0"}, "x.rate = 0.0 is out of range: it must be > 0 and <= 1."),
        ({"rate": 1.5}, "x.rate = 1.5 is out of range: it must be > 0 and <= 1."),
        ({"rate": "nan"}, "x.rate = 'nan' is not a number."),
        ({"rate": "inf"}, "x.rate = 'inf' is not a number."),
        ({"rate": True}, "x.rate = True is not a number."),
        ({"count": 0}, "x.count = 0 is out of range: it must be >= 1."),
        ({"count": "2.5"}, "x.count = '2.5' is not a whole number or none."),
        ({"mode": "fats"}, "x.mode = 'fats' is out of range: it must be one of fast, slow."),
        ({"flag": "yes"}, "x.flag = 'yes' is not true or false."),
        (
            {"moed": 1},
            "unknown setting of x 'moed'. Did you mean 'mode'? Known: count, flag, mode, rate.",
        ),
    ],
)
def test_a_mistake_names_field_value_and_range(values: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchError) as caught:
        parse(Example, values, "x")
    assert str(caught.value) == message


def test_changed_lists_what_is_not_the_default() -> None:
    assert changed(Example()) == {}
    assert changed(Example(mode="slow", count=2)) == {"count": 2, "mode": "slow"}
