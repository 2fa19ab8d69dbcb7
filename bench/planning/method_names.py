"""From the names and settings that a person writes to the methods that they stand for."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from itertools import product
from typing import Any

from bench.core.errors import BenchError, unknown_name
from bench.core.settings import kinds
from bench.planning.plugins import place_of
from bench.training.method import METHODS, CommonSettings, Method, register_method

Settings = Mapping[str, Mapping[str, Any]]
"""Owner -> setting -> value; an owner is `train`, a method (`lwf`) or a variant (`lwf:ahead`)."""


def chosen(names: Iterable[str | Method], settings: Settings) -> tuple[Method, ...]:
    """The methods called `lwf`, `lwf:ahead` or `ewc+lwf`, each once, in the order of `names`, among
    which methods may stand as they are.

    What is set for `lwf` holds for its variants too, but for what makes them the variants, and
    wherever it stands in a stack. Where it has several values (`lwf.interval=2,4,8`), each is a
    method, and each of one setting with each of another.

    Raises:
        BenchError: an unknown method, variant, setting or owner of settings; a bad value; a value
            that no method of the run takes.
    """
    wanted = list(dict.fromkeys(names))
    spelled = [name for name in wanted if isinstance(name, str)]
    _check_owners([part for name in spelled for part in _split(name)], settings)
    methods: dict[str, Method] = {}
    for name in wanted:
        try:
            for method in _variants(name, settings) if isinstance(name, str) else [name]:
                methods.setdefault(f"{method.label} {method.settings}", method)
        except BenchError:
            raise
        except Exception as error:
            text = f"{type(error).__name__}: {error}{place_of(error)}"
            raise BenchError(f"method {name} fails: {text}.") from error
    return tuple(methods.values())


def registered(made: Method) -> Method:
    """A method that Python made, anew of its name and settings, as its cells make it; its class is
    registered under its `name` unless it is.

    Raises:
        BenchError: the class has no name of its own, or another's; the configuration cannot be.
    """
    cls = type(made)
    name = vars(cls).get("name")
    if not isinstance(name, str):
        raise BenchError(
            f"{cls.__name__} is no registered method: put @register_method above the class, with a "
            "name of its own."
        )
    if name not in METHODS.names() or METHODS.get(name) is not cls:
        register_method(name)(cls)
    if not isinstance(made.config, cls.Config):
        raise BenchError(f"{name} takes a {cls.Config.__name__}, not {made.config!r}.")
    return cls.made_of(made.settings)


def parts_of(name: str) -> list[type[Method]]:
    """The classes that a name stands for."""
    return [find(part)[0] for part in _split(name)]


def find(name: str) -> tuple[type[Method], dict[str, Any]]:
    """The class and the fixed settings of `lwf` (none) or `lwf:ahead`.

    Raises:
        BenchError: no such method or variant.
    """
    base, colon, variant = name.partition(":")
    cls = METHODS.get(base)
    if colon and variant not in cls.variants:
        raise unknown_name(f"variant of {base}", variant, cls.variants)
    return cls, cls.variants[variant] if colon else {}


def _called(name: str, settings: Settings) -> list[Method]:
    """The method called `lwf` or `lwf:ahead`, with the settings of its owners: one for each choice
    of their values."""
    cls, fixed = find(name)
    given = {**settings.get(cls.name, {}), **(settings.get(name, {}) if fixed else {}), **fixed}
    known = {field.name: field for kind in (cls.Config, CommonSettings) for field in fields(kind)}
    types = kinds(cls.Config) | kinds(CommonSettings)
    swept = [
        _values(value, types[key], known[key].metadata) if key in known else [value]
        for key, value in given.items()
    ]
    return [cls.made_of(dict(zip(given, values, strict=True))) for values in product(*swept)]


def _values(value: Any, kind: Any, metadata: Mapping[str, Any]) -> Sequence[Any]:
    """The values of a setting; of a number, a switch or a choice also several in one text."""
    if typing.get_origin(kind) is tuple:
        return [value]  # it is a list itself
    if isinstance(value, str) and (kind in (int, float, bool) or metadata.get("choices")):
        return value.split(",")
    return value if isinstance(value, list | tuple) else [value]


def _split(name: str) -> list[str]:
    """The names in `ewc+lwf`.

    Raises:
        BenchError: one is missing.
    """
    parts = [part.strip() for part in name.split("+")]
    if not all(parts):
        raise BenchError(f"method {name!r}: a name is missing beside the +, as in ewc+lwf.")
    return parts


def _variants(name: str, settings: Settings) -> list[Method]:
    """The methods, or the stacks of methods, called `name`."""
    choices = list(product(*(_called(part, settings) for part in _split(name))))
    if len(choices[0]) == 1:
        return [one for (one,) in choices]
    from bench.training.stack import Stack, in_order

    return [Stack(in_order(parts)) for parts in choices]


def _check_owners(names: list[str], settings: Settings) -> None:
    """Raises BenchError for settings that no method of the run would take."""
    fixed = {name: find(name)[1] for name in names}
    takers: dict[str, list[str]] = {"train": []}
    for name in fixed:
        base = name.partition(":")[0]
        takers.setdefault(base, []).append(name)
        takers.setdefault(name, [name])
    for owner, values in settings.items():
        if owner not in takers:
            find(owner)  # a name that nobody knows is the better complaint
            raise unknown_name("method of this run (in --set or the configuration)", owner, takers)
        for key in values:
            if takers[owner] and all(key in fixed[name] for name in takers[owner]):
                first = takers[owner][0]
                raise BenchError(
                    f"{owner}.{key} cannot be set: {first} means {key}={fixed[first][key]}."
                )
