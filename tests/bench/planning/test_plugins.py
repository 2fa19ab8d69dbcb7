"""Methods from outside: a mistake in any hook costs its own cells and is named with its line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.core.errors import BenchError
from bench.planning.plugins import load_builtin, load_plugin
from bench.rows.source import Folder, source_named
from bench.selfcheck.world import World
from bench.training.method import METHODS
from tests.conftest import Run

BROKEN = """
from bench import Card, Method, register_method

def fail():
    raise ValueError('this is wrong')

@register_method('broken')
class Broken(Method):
    card = Card('t', 'p', 'e', 'd', 'none')
    {decorator}
    def {hook}(self, *given):
        fail()
"""


@pytest.fixture(autouse=True)
def own_methods(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test registers is gone after it."""
    load_builtin()
    monkeypatch.setattr(METHODS, "_items", dict(METHODS._items))
    monkeypatch.setattr(METHODS, "_owners", dict(METHODS._owners))
    yield


@pytest.fixture
def grid(world: World, tmp_path: Path) -> list[object]:
    return [
        "--tasks", "cola", "--data", world.data, "--seeds", 1, "--out", tmp_path / "run",
        "--steps", 2, "--batch-size", 4, "--max-eval", 8, "--model", world.models["causal"],
        "--set", "train.retention_tokens=128", "train.forget_rows=8",
    ]  # fmt: skip


def plugin(folder: Path, hook: str) -> Path:
    path = folder / "broken.py"
    decorator = "@property" if hook in ("needs", "label", "settings", "roles") else ""
    path.write_text(BROKEN.format(hook=hook, decorator=decorator))
    return path


TRAINING = ["prepare", "optimizer", "loss", "after_backward", "after_step", "finish"]


@pytest.mark.parametrize("hook", TRAINING)
def test_a_hook_that_raises_fails_its_cell_and_the_grid_goes_on(
    run: Run, grid: list[object], tmp_path: Path, hook: str
) -> None:
    words = ["--plugin", plugin(tmp_path, hook), "--methods", "broken,recadam", *grid]
    code, out, err = run(*words)
    assert code == 1
    reason = "ValueError: this is wrong (broken.py:5)"
    assert f"broken x cola x seed 0: FAILED, {reason}" in err
    assert f"broken seed 0 failed: {reason}" in out
    (after,) = (tmp_path / "run" / "cells").glob("recadam-*[!s].json")
    assert json.loads(after.read_text())["status"] == "done"
    (log,) = (tmp_path / "run" / "logs").iterdir()
    assert 'broken.py", line 12' in log.read_text()


@pytest.mark.parametrize(("hook", "kind"), [("optimizer", "Optimizer"), ("loss", "Tensor")])
def test_a_hook_without_its_return_is_named(
    run: Run, grid: list[object], tmp_path: Path, hook: str, kind: str
) -> None:
    path = plugin(tmp_path, hook)
    path.write_text(path.read_text().replace("        fail()", "        pass"))
    code, out, _ = run("--plugin", path, "--methods", "broken", "--no-reference", *grid)
    assert code == 1
    assert f"broken seed 0 failed: broken.{hook} returns None, which is no {kind}" in out


def test_a_hook_that_exits_fails_its_cell_too(run: Run, grid: list[object], tmp_path: Path) -> None:
    path = plugin(tmp_path, "prepare")
    path.write_text(path.read_text().replace("raise ValueError", "raise SystemExit"))
    code, out, _ = run("--plugin", path, "--methods", "broken,recadam", *grid)
    assert code == 1
    assert "broken seed 0 failed: SystemExit: this is wrong (broken.py:5)" in out
    assert "2 done, 1 failed" in run("status", tmp_path / "run")[1]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("Config = dict", "Config is <class 'dict'>, which is no dataclass."),
        ("variants = {'x': {'sped': 1}}", "variant 'x', 'sped'. Known: none."),
    ],
)
def test_settings_that_can_never_work_are_named_at_once(
    run: Run, tmp_path: Path, body: str, reason: str
) -> None:
    path = plugin(tmp_path, "prepare")
    path.write_text(path.read_text() + f"\n    {body}\n")
    code, out, err = run("list", "methods", "--plugin", path)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "method 'broken' in " in err and reason in err


def test_a_name_that_a_plug_in_takes_twice(run: Run, tmp_path: Path) -> None:
    path = plugin(tmp_path, "prepare")
    twice = path.read_text() + path.read_text().partition("\n\n")[2].replace("Broken", "Other")
    path.write_text(twice)
    code, _, err = run("list", "methods", "--plugin", path)
    assert code == 2 and f"method 'broken' is defined twice: in {path} and in {path}." in err


def test_a_card_of_a_method_that_raises_is_one_line(run: Run, tmp_path: Path) -> None:
    code, out, err = run("show", "broken", "--plugin", plugin(tmp_path, "roles"))
    assert (code, out) == (2, "")
    assert err == "run_bench.py: method broken fails: ValueError: this is wrong (broken.py:5).\n"


def test_a_state_that_cannot_be_kept_fails_its_cell(
    run: Run, grid: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.training.loop.CHECKPOINT_SECONDS", 0.0)
    words = ["--plugin", plugin(tmp_path, "state_dict"), "--methods", "broken", *grid]
    code, out, _ = run(*words)
    assert code == 1
    assert "broken seed 0 failed: ValueError: this is wrong (broken.py:5)" in out


def test_a_state_that_cannot_be_loaded_is_named_and_its_cell_starts_anew(
    run: Run, grid: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.training.loop.CHECKPOINT_SECONDS", 0.0)
    path = plugin(tmp_path, "load_state_dict")
    whole = path.read_text()
    hook = "    def after_step(self, run):\n        if run.step == 2: raise KeyboardInterrupt\n"
    path.write_text(f"{whole}\n{hook}")
    words = ["--plugin", path, "--methods", "broken", "--no-reference", *grid]
    assert run(*words)[0] == 130
    assert "1 stopped" in run("status", tmp_path / "run")[1]
    path.write_text(whole)
    code, _, err = run(*words)
    assert code == 0
    assert "cannot be used (ValueError: this is wrong): broken x cola x seed 0 starts anew" in err
    assert "1 done, 0 failed" in run("status", tmp_path / "run")[1]


@pytest.mark.parametrize("hook", ["needs", "refuses"])
def test_a_question_that_raises_refuses_the_method_and_the_grid_goes_on(
    run: Run, grid: list[object], tmp_path: Path, hook: str
) -> None:
    words = ["--plugin", plugin(tmp_path, hook), "--methods", "broken,recadam", *grid]
    code, out, _ = run(*words)
    assert code == 1
    assert "broken refused: ValueError: this is wrong (broken.py:5)" in out
    assert "2 done, 0 failed, 1 refused, 0 stopped" in run("status", tmp_path / "run")[1]


@pytest.mark.parametrize("said", ["needs", "roles"])
def test_a_misspelt_need_or_role_is_not_passed_over(
    run: Run, grid: list[object], tmp_path: Path, said: str
) -> None:
    path = plugin(tmp_path, "prepare")
    path.write_text(path.read_text() + f"\n    {said} = frozenset({{'generaton'}})\n")
    code, out, _ = run("--plugin", path, "--methods", "broken,recadam", *grid, "--dry-run")
    assert code == 0
    assert f"'generaton' in its {said} is none of " in out
    assert "= 3 cells, 1 refused, 0 done, 2 to run" in out


@pytest.mark.parametrize("hook", ["__init__", "label", "settings", "roles"])
def test_a_method_that_cannot_be_made_is_one_line(
    run: Run, grid: list[object], tmp_path: Path, hook: str
) -> None:
    name = "broken+ewc" if hook == "roles" else "broken"
    words = ["--plugin", plugin(tmp_path, hook), "--methods", f"{name},recadam", *grid]
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert f"method {name} fails: ValueError: this is wrong (broken.py:5)." in err
    assert err.count("\n") == 1


def test_a_method_that_takes_a_name_names_both_owners(
    run: Run, grid: list[object], tmp_path: Path
) -> None:
    path = plugin(tmp_path, "prepare")
    path.write_text(path.read_text().replace("'broken'", "'lwf'"))
    code, _, err = run("--plugin", path, "--methods", "lwf", *grid)
    assert code == 2
    assert f"method 'lwf' is defined twice: in methods.lwf.method and in {path}." in err


def test_a_refused_cell_runs_once_it_fits(
    run: Run, grid: list[object], world: World, tmp_path: Path
) -> None:
    path = plugin(tmp_path, "refuses")
    words = ["--plugin", path, "--methods", "broken,recadam", *grid]
    assert run(*words)[0] == 1
    shutil.copy(path, tmp_path / "kept.py")
    path.write_text(path.read_text().replace("        fail()", "        return None"))
    code, out, _ = run(*words)
    assert "= 3 cells, 2 done, 1 to run" in out
    assert code == 0


@pytest.mark.usefixtures("registry_of_this_test")
def test_a_file_that_brings_a_source_may_be_read_again(tmp_path: Path) -> None:
    path = tmp_path / "toy.py"
    path.write_text(
        "from bench.rows.source import SOURCES, Folder\n"
        f"SOURCES.add('toy', Folder({str(tmp_path)!r}), __name__)\n"
    )
    for _ in range(2):
        load_plugin(path)
    assert source_named("toy") == Folder(str(tmp_path))


def test_an_installed_package_registers_by_its_entry_point(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    (site / "mine-1.0.dist-info").mkdir(parents=True)
    (site / "mine-1.0.dist-info" / "METADATA").write_text("Name: mine\nVersion: 1.0\n")
    entry = "[forgetting_bench.plugins]\nmine = mine_methods\n"
    (site / "mine-1.0.dist-info" / "entry_points.txt").write_text(entry)
    source = BROKEN.format(hook="finish", decorator="").replace("'broken'", "'mine'")
    (site / "mine_methods.py").write_text(source)
    monkeypatch.syspath_prepend(str(site))
    assert "\nmine" in run("list", "methods")[1]
    (site / "mine_methods.py").write_text("1 / 0\n")
    monkeypatch.delitem(__import__("sys").modules, "mine_methods")
    with pytest.raises(BenchError, match=r"plug-in mine \(mine_methods\) fails: ZeroDivisionError"):
        load_builtin()
    source = source.replace("'mine'", "'lwf'")
    (site / "mine_methods.py").write_text(source + "\n# longer, so that it is compiled again\n")
    with pytest.raises(BenchError, match=r"^method 'lwf' is defined twice: in methods"):
        load_builtin()
