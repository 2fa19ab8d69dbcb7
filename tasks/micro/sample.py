"""One generated example, with its label in our world and in the outdated one."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

UNSHOWN = ("answer", "foil")
"""Columns that no prompt shows, beside those of the choices, whose names are letters."""


@dataclass(frozen=True)
class Sample:
    """`label` is the truth, `old` what the outdated world says: the same but for disputed items.

    `item` names the one that the answer rests on; none where it rests on a rule or a reading.
    """

    columns: dict[str, str]
    label: int
    old: int
    topic: str
    item: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """What makes two examples the same: the text of their prompt, without answer or choices."""
        shown = (name for name in self.columns if name not in UNSHOWN and len(name) > 1)
        return tuple(self.columns[name] for name in shown)


Maker = Callable[[random.Random, str], Sample]
"""Draws one example of a task for a split ("train", "dev", "forget" or "pretrain")."""


def capital(text: str) -> str:
    """The text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def weighted(rng: random.Random, table: dict[str, int]) -> str:
    """A key of the table, drawn with its weight."""
    return rng.choices(list(table), weights=list(table.values()))[0]
