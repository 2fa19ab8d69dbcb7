"""The registry and plug-ins: both owners of a name, the nearest match, the plug-in's line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.core.errors import BenchError
from bench.core.registry import Registry
from bench.planning.plugins import load_builtin, load_plugin
from bench.rows.task import TASKS
from bench.training import method as contract
from bench.training.method import METHODS

METHOD = """
from __future__ import annotations
from dataclasses import dataclass
from bench import Card, Method, register_method, setting

@dataclass(frozen=True)
class MineConfig:
    speed: float | None = setting(None, "how fast", low=0.0)

@register_method("{name}")
class Mine(Method):
    card = Card("t", "p", "e", "d", "none")
    Config = MineConfig
"""


@pytest.fixture
def methods(monkeypatch: pytest.MonkeyPatch) -> Registry[object]:
    """An empty registry of methods in the place of the real one."""
    fresh: Registry[object] = Registry("method")
    monkeypatch.setattr(contract, "METHODS", fresh)
    return fresh


def test_the_four_methods_and_the_tasks_are_there() -> None:
    load_builtin()
    assert {"finetune", "ewc", "recadam", "lwf"} <= set(METHODS.names())
    assert {"cola", "rte"} <= set(TASKS.names())


def test_unknown_name_says_what_was_meant_and_what_exists() -> None:
    known: Registry[int] = Registry("method")
    known.add("lwf", 1, "a")
    known.add("ewc", 2, "a")
    with pytest.raises(BenchError) as caught:
        known.get("lfw")
    assert str(caught.value) == "unknown method 'lfw'. Did you mean 'lwf'? Known: ewc, lwf."


def test_a_name_defined_twice_names_both_owners() -> None:
    known: Registry[int] = Registry("method")
    known.add("lwf", 1, "methods.lwf.method")
    with pytest.raises(BenchError, match=r"defined twice: in methods\.lwf\.method and in mine\."):
        known.add("lwf", 2, "mine")
    assert known.get("lwf") == 1


@pytest.mark.parametrize("name", ["", "LWF", "../x", "a-b", "1a", "a/b", "a.b"])
def test_names_are_plain(name: str) -> None:
    with pytest.raises(BenchError, match="must match"):
        Registry[int]("method").add(name, 1, "a")


def test_a_plugin_registers(tmp_path: Path, methods: Registry[object]) -> None:
    path = tmp_path / "my_methods.py"
    path.write_text(METHOD.format(name="mine"))
    load_plugin(path)
    assert methods.names() == ["mine"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import nowhere_to_be_found\n", r"plugin.py:1 fails: ModuleNotFoundError"),
        ("\n\ndef broken(:\n", r"plugin.py:3 fails: SyntaxError"),
        ("x = 1\ny = x / 0\n", r"plugin.py:2 fails: ZeroDivisionError"),
        ("raise SystemExit(0)\n", r"plugin.py:1 fails: SystemExit"),
    ],
)
def test_a_plugin_that_fails_is_one_line_with_its_place(
    tmp_path: Path, source: str, message: str
) -> None:
    path = tmp_path / "plugin.py"
    path.write_text(source)
    with pytest.raises(BenchError, match=message) as caught:
        load_plugin(path)
    assert "\n" not in str(caught.value)


def test_two_plugins_with_one_name_are_both_named(
    tmp_path: Path, methods: Registry[object]
) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.py").write_text(METHOD.format(name="mine"))
    load_plugin(tmp_path / "a" / "same.py")
    with pytest.raises(BenchError, match=r"defined twice: in .*a/same\.py and in .*b/same\.py"):
        load_plugin(tmp_path / "b" / "same.py")


def test_a_method_without_a_card(tmp_path: Path, methods: Registry[object]) -> None:
    path = tmp_path / "bare.py"
    path.write_text(METHOD.format(name="mine").replace("card = Card", "cart = Card"))
    with pytest.raises(BenchError, match="has no card"):
        load_plugin(path)


def test_a_missing_plugin(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"none\.py is not a file"):
        load_plugin(tmp_path / "none.py")


def test_a_notebook_defines_again_what_it_has_defined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["__main__"], "__file__", "script.py", raising=False)
    registry: Registry[int] = Registry("thing")
    registry.add("one", 1, "__main__")
    with pytest.raises(BenchError, match="defined twice"):
        registry.add("one", 2, "__main__")  # a script's second is a mistake
    monkeypatch.delattr(sys.modules["__main__"], "__file__")
    registry.add("one", 2, "__main__")
    assert registry.get("one") == 2
    with pytest.raises(BenchError, match="defined twice"):
        registry.add("one", 3, "elsewhere")
