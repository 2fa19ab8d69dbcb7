"""From the names and settings that a person writes to the methods that they stand for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError, unknown_name
from bench.registry import METHODS
from bench.settings import parse

if TYPE_CHECKING:
    from methods.base import Method

Settings = Mapping[str, Mapping[str, Any]]
"""Owner -> setting -> value; an owner is `train`, a method (`lwf`) or a variant (`lwf:ahead`)."""


def chosen(names: Iterable[str], settings: Settings) -> tuple[Method, ...]:
    """The methods called `lwf` or `lwf:ahead`, each once, in the order of `names`.

    What is set for `lwf` holds for its variants too, but for what makes them the variants.

    Raises:
        BenchError: an unknown method, variant, setting or owner of settings; a bad value; a value
            that no method of the run takes.
    """
    wanted = list(dict.fromkeys(names))
    for name in wanted:
        find(name)
    _check_owners(wanted, settings)
    methods = [method(name, settings) for name in wanted]
    return tuple({(m.name, repr(m.config)): m for m in reversed(methods)}.values())[::-1]


def parts_of(name: str) -> list[type[Method]]:
    """The classes that a name stands for."""
    return [find(name)[0]]


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


def method(name: str, settings: Settings) -> Method:
    """The method called `name`, with the settings of its owners."""
    cls, fixed = find(name)
    given = {**settings.get(cls.name, {}), **(settings.get(name, {}) if fixed else {}), **fixed}
    return cls(parse(cls.Config, given, cls.name))


def _check_owners(names: list[str], settings: Settings) -> None:
    """Raises BenchError for settings that no method of the run would take."""
    fixed = {name: find(name)[1] for name in names}
    owners = {"train": [], **{name: [name] for name in names}}
    for name in names:
        base = name.partition(":")[0]
        owners[base] = [other for other in names if other.partition(":")[0] == base]
    for owner, values in settings.items():
        if owner not in owners:
            find(owner)  # a name that nobody knows is the better complaint
            raise unknown_name("method of this run (in --set or the configuration)", owner, owners)
        for key in values:
            takers = owners[owner]
            if takers and all(key in fixed[name] for name in takers):
                value = fixed[takers[0]][key]
                raise BenchError(f"{owner}.{key} cannot be set: {takers[0]} means {key}={value}.")
