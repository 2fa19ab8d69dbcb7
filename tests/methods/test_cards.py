"""Cards: every figure with its origin, and no figure that a setting would make untrue."""

from __future__ import annotations

import re

import pytest

from bench.planning.plugins import load_builtin
from bench.training.method import METHODS

load_builtin()
ORIGIN = re.compile(r"\b(seen|derived|secondary|this suite)\b")


@pytest.mark.parametrize("name", METHODS.names())
def test_every_default_says_where_it_comes_from(name: str) -> None:
    for clause in METHODS.get(name).card.defaults.split("; "):
        assert ORIGIN.search(clause), clause


@pytest.mark.parametrize("name", METHODS.names())
def test_the_cost_is_told_in_settings_not_in_their_values(name: str) -> None:
    values = re.findall(r"\d+", METHODS.get(name).card.passes)
    assert set(values) <= {"1"}, "as in 1/interval"


def test_a_method_without_a_configuration_has_its_defaults() -> None:
    for cls in map(METHODS.get, METHODS.names()):
        assert cls().spec == cls(cls.Config()).spec
