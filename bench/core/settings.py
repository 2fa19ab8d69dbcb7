"""Settings as frozen dataclasses whose fields carry their own help text and allowed range."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from bench.core.errors import BenchError, unknown_name

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

C = TypeVar("C", bound="DataclassInstance")


def setting(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    choices: tuple[str, ...] | None = None,
) -> Any:
    """A dataclass field with its help text and range: low <= x <= high, x > above, or choices."""
    bounds = {"help": help, "low": low, "high": high, "above": above, "choices": choices}
    return dataclasses.field(default=default, metadata=bounds)


def parse(cls: type[C], values: Mapping[str, Any], owner: str) -> C:
    """Build `cls` from `values` (strings from the command line, or TOML values).

    Raises:
        BenchError: a name that is no field of `cls`, a value of another type or out of its range;
            the message names `owner.field`, the value and what is allowed.
    """
    types_of = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}
    parsed: dict[str, Any] = {}
    for name, value in values.items():
        if name not in fields:
            raise unknown_name(f"setting of {owner}", name, fields)
        parsed[name] = _coerce(value, types_of[name], f"{owner}.{name}")
        _check_range(parsed[name], fields[name].metadata, f"{owner}.{name}")
    return cls(**parsed)


def changed(config: Any) -> dict[str, Any]:
    """The settings that differ from their defaults, in field order."""
    return {
        f.name: getattr(config, f.name)
        for f in dataclasses.fields(config)
        if getattr(config, f.name) != f.default
    }


def allowed(metadata: Mapping[str, Any]) -> str:
    """The range of a field in words, '' where it has none."""
    if metadata.get("choices"):
        return "one of " + ", ".join(metadata["choices"])
    low, high, above = metadata.get("low"), metadata.get("high"), metadata.get("above")
    lower = f">= {low:g}" if low is not None else f"> {above:g}" if above is not None else ""
    upper = f"<= {high:g}" if high is not None else ""
    return " and ".join(part for part in (lower, upper) if part)


def _coerce(value: Any, kind: Any, where: str) -> Any:
    """`value` as `kind`: bool, int, float, str, or one of these or None."""
    either = typing.get_origin(kind) in (types.UnionType, typing.Union)
    options = typing.get_args(kind) if either else (kind,)
    if types.NoneType in options and (value is None or value == "none"):
        return None
    wanted = next(option for option in options if option is not types.NoneType)
    try:
        return _CASTS[wanted](value)
    except (ValueError, TypeError):
        word = {bool: "true or false", int: "a whole number", float: "a number"}.get(wanted, "text")
        or_none = " or none" if types.NoneType in options else ""
        raise BenchError(f"{where} = {value!r} is not {word}{or_none}.") from None


def _to_bool(value: Any) -> bool:
    spelled = {"true": True, "false": False}
    if isinstance(value, bool):
        return value
    if str(value).lower() not in spelled:
        raise ValueError(value)
    return spelled[str(value).lower()]


def _to_int(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError(value)
    return int(value)


def _to_float(value: Any) -> float:
    if isinstance(value, bool):
        raise ValueError(value)
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(value)
    return number


def _to_str(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


_CASTS: dict[Any, Any] = {bool: _to_bool, int: _to_int, float: _to_float, str: _to_str}


def _check_range(value: Any, metadata: Mapping[str, Any], where: str) -> None:
    if value is None or not (rule := allowed(metadata)):
        return
    low, high, above = metadata.get("low"), metadata.get("high"), metadata.get("above")
    wrong = (
        (metadata.get("choices") and value not in metadata["choices"])
        or (low is not None and value < low)
        or (high is not None and value > high)
        or (above is not None and value <= above)
    )
    if wrong:
        raise BenchError(f"{where} = {value!r} is out of range: it must be {rule}.")
