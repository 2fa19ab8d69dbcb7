"""The ways in which a check ends, and what all checks share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.core.errors import RefusedError
from bench.planning.method_names import parts_of
from bench.selfcheck.world import World, trained, weights

if TYPE_CHECKING:
    from torch import Tensor

    from bench.planning.plan import Plan
    from bench.running.session import CellSession
    from bench.training.method import Method


class FailedError(Exception):
    """The method does not do what the check asks; the message says what it does instead."""


class NotApplicableError(Exception):
    """The check asks nothing of this method; the message says why."""


@contextmanager
def where_it_fits() -> Iterator[None]:
    """Turns the refusal of a plan made inside into NotApplicableError."""
    try:
        yield
    except RefusedError as error:
        raise NotApplicableError("; ".join(error.reasons)) from None


@dataclass(frozen=True)
class Subject:
    """A method on one kind of model: what a check is about."""

    method: str  # as in --methods
    kind: str  # "causal" or "encoder"
    words: tuple[str, ...] = ()  # settings, as in --set

    def __str__(self) -> str:
        return "-".join([self.method, self.kind, *self.words])

    @property
    def cls(self) -> type[Method]:
        """The method's class.

        Raises:
            NotApplicableError: it is a stack.
        """
        if len(parts := parts_of(self.method)) > 1:
            raise NotApplicableError("it is a stack, whose parts are checked by themselves")
        return parts[0]

    def plan(self, world: World, *settings: str) -> Plan:
        """The plan of one cell.

        Raises:
            NotApplicableError: the method does not fit the model.
        """
        with where_it_fits():
            return world.plan(self.method, self.kind, *self.words, *settings)

    def trained(self, world: World, folder: Path, *settings: str) -> CellSession:
        """The cell after its training."""
        return trained(self.plan(world, *settings), folder)

    def ends(self, world: World, folder: Path, *settings: str) -> dict[str, Tensor]:
        """The weights that it trains."""
        return weights(self.trained(world, folder, *settings))

    def off(self) -> list[str]:
        """The settings that switch it off, every part of a stack, as words of --set.

        Raises:
            NotApplicableError: it names none.
        """
        words: list[str] = []
        for cls in parts_of(self.method):
            if cls.off is None:
                raise NotApplicableError(f"{cls.name} names no settings that switch it off (`off`)")
            words += assigned(cls, cls.off)
        return words


def assigned(cls: type[Method], values: dict[str, Any]) -> list[str]:
    """Values of a method's settings as words of --set."""
    return [f"{cls.name}.{name}={value}" for name, value in values.items()]


def starts_at_the_base(method: Method) -> None:
    """Raises NotApplicableError where a method moves the weights before the first step."""
    if "start" in method.roles:
        raise NotApplicableError("it moves the weights before the first step (its role `start`)")


def expect(condition: bool, otherwise: str) -> None:
    """Raises FailedError, saying `otherwise`, unless the condition holds."""
    if not condition:
        raise FailedError(otherwise)


def same(first: Any, second: Any) -> bool:
    """Equal bit for bit, through lists and dictionaries."""
    import torch

    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
    if isinstance(first, list | tuple):
        pairs = zip(first, second, strict=True)
        return len(first) == len(second) and all(same(a, b) for a, b in pairs)
    return bool(first == second)


def difference(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> str:
    """Which weights differ, and by how much, in words."""
    wrong = [name for name in wanted if not same(found.get(name), wanted[name])]
    if not wrong:
        return "no weight differs"
    if wrong[0] not in found:
        return f"{wrong[0]} is missing"
    gap = max(float((found[name] - wanted[name]).abs().max()) for name in wrong if name in found)
    return f"{len(wrong)} of {len(wanted)} weights differ, {wrong[0]} first, by up to {gap:.1e}"
