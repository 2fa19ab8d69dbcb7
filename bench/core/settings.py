"""Settings as frozen dataclasses whose fields carry their own help text and allowed range."""

from __future__ import annotations

import dataclasses
import math
import os
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bench.core.errors import BenchError, unknown_name

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

C = TypeVar("C", bound="DataclassInstance")


@dataclasses.dataclass(frozen=True)
class Range:
    """The values from `low` to `high` that a setting is searched over, evenly or, if `log`, evenly
    in their logarithms; or so many times what `of` says: "train.lr", or "1/lr" of the method's own
    learning rate."""

    low: float
    high: float
    log: bool = False
    of: str | None = None

    def __str__(self) -> str:
        times = f" x {self.of}" if self.of else ""
        return f"{self.low:g} to {self.high:g}{times}{', log' if self.log else ''}"


Space = Range | tuple[str, ...]
"""What a setting is searched over: a range of numbers, or some of its choices."""


def spelled(space: Space) -> str:
    """What a setting is searched over, in words."""
    return str(space) if isinstance(space, Range) else " or ".join(space)


def check_space(field: dataclasses.Field[Any], where: str) -> None:
    """Raises BenchError where a setting is searched over values that it cannot have."""
    space = field.metadata.get("search")
    if isinstance(space, Range):
        if not space.low < space.high or (space.log and space.low <= 0):
            raise BenchError(f"{where} cannot be searched over {space}.")
        ends = [] if space.of else [space.low, space.high]
    else:
        ends = list(space or ())
    for value in ends:
        _check_range(value, field.metadata, f"{where}, searched over this space,")


def setting(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    choices: tuple[str, ...] | None = None,
    option: bool = False,
    flag: str | None = None,
    metavar: str | None = None,
    group: str | None = None,
    search: Space | None = None,
) -> Any:
    """A dataclass field with its help text and range: low <= x <= high, x > above, or choices;
    where it matters to how well a method does, also what it is searched over.

    What is an `option` of a run is also asked for by `--NAME`, or by `flag`; `metavar` stands for
    its value in the help text, under the heading `group`.
    """
    bounds = {"help": help, "low": low, "high": high, "above": above, "choices": choices}
    shown = {"option": option, "flag": flag, "metavar": metavar, "group": group, "search": search}
    kept = {"default_factory": dict} if default == {} else {"default": default}
    return dataclasses.field(**kept, metadata={**bounds, **shown})


def parse(cls: type[C], values: Mapping[str, Any], owner: str = "") -> C:
    """Build `cls` from `values` (strings from the command line, or TOML values).

    Raises:
        BenchError: a name that is no field of `cls`, a value of another type or out of its range;
            the message names `owner.field` (or the field, where nobody owns it), the value and
            what is allowed.
    """
    types_of = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}
    parsed: dict[str, Any] = {}
    for name, value in values.items():
        if name not in fields:
            raise unknown_name(f"setting of {owner}", name, fields)
        where = f"{owner}.{name}" if owner else name
        parsed[name] = _coerce(value, types_of[name], where)
        _check_range(parsed[name], fields[name].metadata, where)
    return cls(**parsed)


def kinds(cls: type[DataclassInstance]) -> dict[str, Any]:
    """Each field's type, without the None that it may also be."""
    return {name: _without_none(kind) for name, kind in typing.get_type_hints(cls).items()}


def changed(config: Any) -> dict[str, Any]:
    """The settings that differ from their defaults, in field order."""
    return {
        f.name: getattr(config, f.name)
        for f in dataclasses.fields(config)
        if getattr(config, f.name) != f.default
    }


def typed(value: Any) -> str:
    """A value as a person types it: true, false, none."""
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def allowed(metadata: Mapping[str, Any]) -> str:
    """The range of a field in words, '' where it has none."""
    if metadata.get("choices"):
        return "one of " + ", ".join(metadata["choices"])
    low, high, above = metadata.get("low"), metadata.get("high"), metadata.get("above")
    lower = f">= {low:g}" if low is not None else f"> {above:g}" if above is not None else ""
    upper = f"<= {high:g}" if high is not None else ""
    return " and ".join(part for part in (lower, upper) if part)


def _coerce(value: Any, kind: Any, where: str) -> Any:
    """`value` as `kind`: bool, int, float, str, Path, one of these or None, or a list."""
    if typing.get_origin(kind) is tuple:
        return _listed(value, typing.get_args(kind)[0], where)
    wanted = _without_none(kind)
    if wanted != kind and (value is None or value == "none"):
        return None
    try:
        return _CASTS.get(wanted, _to_str)(value)
    except (ValueError, TypeError):
        word = {bool: "true or false", int: "a whole number", float: "a number"}.get(wanted, "text")
        or_none = " or none" if wanted != kind else ""
        raise BenchError(f"{where} = {value!r} is not {word}{or_none}.") from None


def _without_none(kind: Any) -> Any:
    """`int` of `int | None`."""
    if typing.get_origin(kind) not in (types.UnionType, typing.Union):
        return kind
    return next(option for option in typing.get_args(kind) if option is not types.NoneType)


def _listed(value: Any, kind: Any, where: str) -> tuple[Any, ...]:
    """Several names, also as `"a,b"`, paths (they may hold commas) or whatever else `kind` is; one
    of them may stand alone."""
    others = tuple(one for one in (typing.get_args(kind) or (kind,)) if one is not str)
    known = (str, os.PathLike, *others)
    if isinstance(value, str) and kind is not Path:
        value = value.split(",")
    words = value if isinstance(value, list | tuple) else [value]
    if not all(isinstance(word, known) for word in words):
        what = "paths" if kind is Path else "names"
        raise BenchError(f"{where} must be a list of {what}, not {value!r}.")
    if kind is Path:
        return tuple(map(_to_path, words))
    names = [word if isinstance(word, others) else os.fspath(word).strip() for word in words]
    return tuple(name for name in names if name)


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
    text = os.fspath(value)
    if not isinstance(text, str):
        raise TypeError(value)
    return text


def _to_path(value: Any) -> Path:
    return Path(value).expanduser()


_CASTS: dict[Any, Any] = {bool: _to_bool, int: _to_int, float: _to_float, Path: _to_path}


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
