"""Names -> what they stand for."""

from __future__ import annotations

import re
import sys
from typing import Generic, TypeVar

from bench.core.errors import BenchError, unknown_name

T = TypeVar("T")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def _typed_again(owner: str, before: str) -> bool:
    """Whether both stand in a notebook or at a prompt, whose cells are run again and again."""
    main = sys.modules["__main__"]
    return owner == before == "__main__" and not hasattr(main, "__file__")


class Registry(Generic[T]):
    """A dictionary that refuses duplicates, naming both owners, and knows what was meant."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._items: dict[str, T] = {}
        self._owners: dict[str, str] = {}

    def add(self, name: str, item: T, owner: str) -> None:
        """Register `item`, defined in module `owner`; a notebook's replaces its own from before.

        Raises:
            BenchError: the name is taken, or is not lower_case_with_digits.
        """
        if not _NAME.fullmatch(name):
            raise BenchError(f"{self.kind} name {name!r} in {owner} must match {_NAME.pattern}.")
        if name in self._items and not _typed_again(owner, self._owners[name]):
            raise BenchError(
                f"{self.kind} {name!r} is defined twice: in {self._owners[name]} and in {owner}."
            )
        self._items[name] = item
        self._owners[name] = owner

    def forget(self, owner: str) -> None:
        """Drop what `owner` registered, which is about to be read again."""
        for name in [name for name, its in self._owners.items() if its == owner]:
            del self._items[name], self._owners[name]

    def get(self, name: str) -> T:
        """The item called `name`; raises BenchError with the nearest match and the full list."""
        if name not in self._items:
            raise unknown_name(self.kind, name, self._items)
        return self._items[name]

    def names(self) -> list[str]:
        """All names, in the order in which they were registered."""
        return list(self._items)
