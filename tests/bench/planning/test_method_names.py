"""Names of methods: variants, settings for them, and every way to get them wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from bench.core.errors import BenchError
from bench.core.registry import Registry
from bench.core.settings import Range, setting
from bench.planning.method_names import chosen
from bench.training.method import METHODS, Card, Method, register_method


@dataclass(frozen=True)
class SolverConfig:
    order: str = setting("first", "which", choices=("first", "last"))
    speed: float = setting(1.0, "how fast", low=0.0)
    depth: int | None = setting(None, "how deep", low=1)


class Solver(Method):
    card = Card("t", "p", "e", "d", "none")
    Config = SolverConfig
    variants = {"last": {"order": "last"}, "deep": {"order": "last", "depth": 3}}


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh: Registry[type[Method]] = Registry("method")
    monkeypatch.setattr("bench.training.method.METHODS", fresh)
    monkeypatch.setattr("bench.planning.method_names.METHODS", fresh)
    register_method("solver")(Solver)
    register_method("other")(type("Other", (Method,), {"card": Solver.card}))
    assert fresh is not METHODS


def labels(names: list[str], settings: dict[str, dict[str, Any]] | None = None) -> list[str]:
    return [method.label for method in chosen(names, settings or {})]


def test_a_variant_is_its_method_with_settings() -> None:
    plain, last = chosen(["solver", "solver:last"], {})
    assert type(plain) is type(last) is Solver
    assert plain.config == SolverConfig()
    assert last.config == SolverConfig(order="last")
    assert (last.name, last.label) == ("solver", "solver:last")


def test_settings_of_the_method_hold_for_its_variants_but_for_what_makes_them() -> None:
    given = {"solver": {"speed": "2", "order": "first"}, "solver:last": {"depth": 4}}
    plain, last = chosen(["solver", "solver:last"], given)
    assert plain.config == SolverConfig(speed=2.0)
    assert last.config == SolverConfig("last", 2.0, 4)
    assert last.label == "solver:last[speed=2.0,depth=4]"


def test_the_label_depends_on_the_settings_alone() -> None:
    assert labels(["solver"], {"solver": {"order": "last"}}) == ["solver:last"]
    assert labels(["solver:last"], {"solver": {"depth": 3}}) == ["solver:deep"]
    assert labels(["solver"], {"solver": {"depth": 3}}) == ["solver[depth=3]"]


def test_one_thing_asked_for_twice_runs_once() -> None:
    assert labels(["other", "solver:last", "solver", "solver:last", "other"]) == [
        "other",
        "solver:last",
        "solver",
    ]
    assert labels(["solver", "solver:last"], {"solver:last": {}}) == ["solver", "solver:last"]
    assert labels(["solver:deep", "solver:last"], {"solver": {"depth": 3}}) == ["solver:deep"]


MISTAKES: list[tuple[list[str], dict[str, dict[str, Any]], str]] = [
    (["solvr"], {}, "unknown method 'solvr'. Did you mean 'solver'? Known: other, solver."),
    (["solver:lst"], {}, "unknown variant of solver 'lst'. Did you mean 'last'? Known: deep, last"),
    (["solver:"], {}, "unknown variant of solver ''. Known: deep, last."),
    (["+other"], {}, "method '+other': a name is missing beside the +"),
    (["solver+ +other"], {}, "method 'solver+ +other': a name is missing beside the +"),
    (["other:last"], {}, "unknown variant of other 'last'. Known: none."),
    (["solver:last"], {"solver": {"order": "first"}}, "solver.order cannot be set: solver:last"),
    (["solver", "solver:last"], {"solver:last": {"order": "first"}}, "means order=last."),
    (["solver"], {"solver:last": {"depth": 1}}, "unknown method of this run"),
    (["solver"], {"solver:lost": {"depth": 1}}, "Did you mean 'last'?"),
    (["solver:last"], {"solver:last": {"depht": 1}}, "Did you mean 'depth'?"),
    (["solver:last"], {"solver:last": {"depth": 0}}, "solver.depth = 0 is out of range"),
]


@pytest.mark.parametrize(("names", "settings", "message"), MISTAKES)
def test_a_mistake_is_named(
    names: list[str], settings: dict[str, dict[str, Any]], message: str
) -> None:
    with pytest.raises(BenchError) as caught:
        chosen(names, settings)
    assert message in str(caught.value)


def test_several_values_are_a_method_each() -> None:
    given = {"solver": {"speed": "2,4", "order": "first,last"}, "other": {"lr": "1e-4, 1e-5"}}
    assert labels(["solver", "other"], given) == [
        "solver[speed=2.0]",
        "solver:last[speed=2.0]",
        "solver[speed=4.0]",
        "solver:last[speed=4.0]",
        "other[lr=0.0001]",
        "other[lr=1e-05]",
    ]
    assert labels(["solver"], {"solver": {"speed": [1, 2, 1.0]}}) == ["solver", "solver[speed=2.0]"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"speed": "2,"}, "solver.speed = '' is not a number"),
        ({"speed": [2, -1]}, r"solver.speed = -1.0 is out of range: it must be >= 0"),
        ({"order": "first,middle"}, "one of first, last"),
        ({"lr": "1e-4,0"}, r"solver.lr = 0.0 is out of range: it must be > 0"),
        ({"lrr": "1"}, "Did you mean 'lr'"),
    ],
)
def test_a_bad_value_among_several(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        labels(["solver"], {"solver": settings})


def test_a_setting_of_every_method_is_no_method_s_own() -> None:
    @dataclass(frozen=True)
    class Config:
        lr: float = setting(0.1, "mine")

    with pytest.raises(BenchError, match="every method has a setting 'lr' already"):
        register_method("mine")(type("Mine", (Method,), {"card": Solver.card, "Config": Config}))


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"low": 0.0, "search": Range(-1, 1)}, "low = -1 is out of range"),
        ({"search": Range(1, 1)}, "cannot be searched over 1 to 1"),
        ({"search": Range(0, 1, log=True)}, "cannot be searched over 0 to 1, log"),
        ({"choices": ("a", "b"), "search": ("a", "c")}, "'c' is out of range"),
    ],
)
def test_a_space_of_values_that_cannot_be(bounds: dict[str, Any], message: str) -> None:
    @dataclass(frozen=True)
    class Config:
        x: float = setting(1.0, "mine", **bounds)

    with pytest.raises(BenchError, match=message.replace("low = ", "searched over this space, = ")):
        register_method("mine")(type("Mine", (Method,), {"card": Solver.card, "Config": Config}))
