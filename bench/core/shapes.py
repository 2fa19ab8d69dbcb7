"""Whether JSON values are what a TypedDict says: files come from strangers, and are cut and edited.

A check is made of functions, one for each part of the type, once for each type.
"""

from __future__ import annotations

import functools
import math
import types
from collections.abc import Callable, Iterable
from typing import (
    Any,
    Literal,
    NotRequired,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

Check = Callable[[Any], str | None]
"""What is wrong with a value, as "PATH must be KIND, not VALUE"; None where nothing is."""

_LARGEST = 1e300
_ALL: dict[Any, Callable[[list[Any]], bool]] = {
    Any: lambda values: True,
    float: lambda values: set(map(type, values)) <= {float} and all(map(math.isfinite, values)),
    int: lambda values: set(map(type, values)) <= {int},
    str: lambda values: set(map(type, values)) <= {str},
}
"""Whether all values are plainly of a type, told at once: files hold thousands of answers."""
_WORDS = {str: "text", int: "a whole number", bool: "true or false", types.NoneType: "null"}


@functools.cache
def check_of(kind: Any) -> Check:
    """The check of a type: a TypedDict, list, dict with text as keys, Literal, union, Any, or one
    of JSON's own. Numbers are finite."""
    origin, args = get_origin(kind), get_args(kind)
    if is_typeddict(kind):
        return _record(kind)
    if origin is list:
        return _items(args[0], list, enumerate, iter)
    if origin is dict:
        return _items(args[1], dict, dict.items, dict.values)
    if origin is Literal:
        words = "one of " + ", ".join(map(repr, args))
        return lambda value: (
            None if isinstance(value, str) and value in args else _not(words, value)
        )
    if origin in (Union, types.UnionType):
        return _either([check_of(arg) for arg in args])
    if kind is Any:
        return lambda value: None
    if kind is float:
        return _number
    if kind is int:
        return lambda value: None if type(value) is int else _not(_WORDS[int], value)
    return lambda value: None if isinstance(value, kind) else _not(_WORDS[kind], value)


def _number(value: Any) -> str | None:
    if type(value) is float and math.isfinite(value):
        return None
    if type(value) is int and -_LARGEST < value < _LARGEST:
        return None
    return _not("a finite number", value)


def _record(kind: Any) -> Check:
    hints = get_type_hints(kind, include_extras=True)
    # as text, which annotations are, NotRequired means nothing to __required_keys__
    optional = {name: get_args(h)[0] for name, h in hints.items() if get_origin(h) is NotRequired}
    checks = {name: check_of(optional.get(name, hint)) for name, hint in hints.items()}
    required = kind.__required_keys__ - optional.keys()

    def check(value: Any) -> str | None:
        if not isinstance(value, dict):
            return _not("a table", value)
        if missing := required - value.keys():
            return f" lacks {', '.join(sorted(missing))}"
        for name, given in value.items():
            if name in checks and (problem := checks[name](given)):
                return f".{name}{problem}"
        return None

    return check


def _items(
    item_kind: Any, kind: type, pairs: Callable[[Any], Any], items: Callable[[Any], Iterable[Any]]
) -> Check:
    words = "a list" if kind is list else "a table"
    inner, all_are = check_of(item_kind), _ALL.get(item_kind)

    def check(value: Any) -> str | None:
        if not isinstance(value, kind):
            return _not(words, value)
        if all_are is not None and all_are(list(items(value))):
            return None
        for key, item in pairs(value):
            if problem := inner(item):
                return f".{key}{problem}"
        return None

    return check


def _either(checks: list[Check]) -> Check:
    def check(value: Any) -> str | None:
        problems = []
        for one in checks:
            if (problem := one(value)) is None:
                return None
            problems.append(problem)
        deep = (p for p in problems if not p.startswith(" must"))  # the part that was meant
        return next(deep, problems[0] if value is not None else problems[-1])

    return check


def _not(words: str, value: Any) -> str:
    shown = repr(value)
    return f" must be {words}, not {shown if len(shown) < 60 else shown[:57] + '...'}"
