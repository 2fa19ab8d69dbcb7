"""Methods that are wrong in one way each, and the check that says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.cli.main import main
from bench.planning.plugins import load_builtin, load_plugin
from bench.selfcheck import behaviour, command, identity, processes
from bench.selfcheck.checks import FailedError, NotApplicableError, Subject
from bench.selfcheck.world import World
from bench.training.method import METHODS

HEAD = """
from dataclasses import dataclass
from bench import Card, Method, register_method, setting

@dataclass(frozen=True)
class Settings:
    strength: float = setting(1.0, 'how hard it pulls', low=0.0)

@register_method('wrong')
class Wrong(Method):
    '''Wrong in one way.'''
    card = Card('t', 'p', 'e', 'd', 'none')
    Config = Settings
"""
IDLE = HEAD + "    meaning = 'retains'\n"
CRASHES = HEAD + "    def after_step(self, run):\n        raise ValueError('this is wrong')\n"
NEVER_OFF = (
    HEAD
    + """    off = {'strength': 0.0}
    def after_backward(self, run):
        for parameter in run.net.parameters():
            parameter.grad.mul_(0.5 + self.config.strength)
"""
)


@pytest.fixture
def wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Writes and registers the method `wrong`, which is forgotten after the test."""
    load_builtin()
    monkeypatch.setattr(METHODS, "_items", dict(METHODS._items))
    monkeypatch.setattr(METHODS, "_owners", dict(METHODS._owners))

    def write(source: str) -> Path:
        path = tmp_path / "wrong.py"
        path.write_text(source, encoding="utf-8")
        load_plugin(path)
        return path

    return write


def test_a_method_that_does_nothing_does_not_retain(
    wrong: Callable[[str], Path], world: World, tmp_path: Path
) -> None:
    wrong(IDLE)
    with pytest.raises(FailedError, match=r"retention loss rises, .*by 0\.\d+, with"):
        behaviour.means_it(Subject("wrong", "causal"), world, tmp_path)


def test_a_method_that_is_never_off_is_not_finetune(
    wrong: Callable[[str], Path], world: World, tmp_path: Path
) -> None:
    wrong(NEVER_OFF)
    with pytest.raises(FailedError, match=r"\d+ of \d+ weights differ, "):
        identity.off_is_finetune(Subject("wrong", "causal"), world, tmp_path)


def test_the_report_names_the_line_of_a_crash(
    wrong: Callable[[str], Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = wrong(CRASHES)
    monkeypatch.setattr(identity, "ON_MODELS", (identity.trains,))

    def two(*given: object, **options: object) -> list[object]:
        raise ValueError("two crash")

    monkeypatch.setattr(processes, "on_two_processes", two)
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["selfcheck", "wrong", "--plugin", str(path)]) == 1
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    words = " ".join(out.split())
    assert "FAILED  Training moves every matrix" in out
    assert "causal: ValueError: this is wrong (wrong.py:15); encoder: ValueError" in words
    assert "n/a     Averaged over seeds" in out
    assert "the class does not say what it is for (`meaning`)" in words
    assert (
        "FAILED  Two processes, stopped and resumed, end as one" in out
        and "ValueError: two crash" in out
    )
    assert "FAILED So do two that cut its weights over them while they train" in words
    assert "\n3 passed, 3 FAILED, 1 n/a, in " in out


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """One check of each sort, so that a report takes seconds."""
    monkeypatch.setattr(identity, "ON_MODELS", (identity.off_is_finetune, identity.holds_the_base))
    monkeypatch.setattr(identity, "ON_CLASSES", (identity.whole_card,))
    monkeypatch.setattr(processes, "on_two_processes", lambda *given, **options: [[]])
    monkeypatch.setattr(processes, "two_are_one", lambda *given: None)


@pytest.mark.usefixtures("few")
def test_a_stack_is_checked_but_for_what_its_parts_say(tmp_path: Path) -> None:
    load_builtin()
    found = {outcome.check: outcome for outcome in command.outcomes("bss+l2sp", [], [], tmp_path)}
    whys = {outcome.why for outcome in found.values() if outcome.status == "n/a"}
    assert whys == {"it is a stack, whose parts are checked by themselves"}
    (off,) = (outcome for check, outcome in found.items() if check.startswith("Switched off"))
    assert off.status == "passed"


def test_a_stack_that_clashes_fits_no_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["selfcheck", "recadam+lora"]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "the stack is not defined: recadam pulls" in out


def test_a_meaning_that_nothing_measures(
    wrong: Callable[[str], Path], world: World, tmp_path: Path
) -> None:
    wrong(HEAD + "    meaning = 'retain'\n")
    with pytest.raises(FailedError, match=r"`meaning` is 'retain', which is none of retains, "):
        behaviour.means_it(Subject("wrong", "causal"), world, tmp_path)


@pytest.mark.parametrize("check", [identity.zero_steps, behaviour.means_it])
def test_what_starts_elsewhere_is_not_asked_to_start_at_the_base(
    check: Callable[..., None], world: World, tmp_path: Path
) -> None:
    load_builtin()
    with pytest.raises(NotApplicableError, match="moves the weights before the first step"):
        check(Subject("recadam:random_init", "causal"), world, tmp_path)


def test_what_the_rate_of_that_check_does_not_suit(world: World, tmp_path: Path) -> None:
    load_builtin()
    strong = Subject("recadam", "causal", ("recadam.gamma=1000",))
    strong.plan(world)
    with pytest.raises(NotApplicableError, match=r"learning rate 0.003 x gamma 1000 = 3 is over 1"):
        behaviour.means_it(strong, world, tmp_path)


def test_where_a_method_does_not_fit_is_said_once(tmp_path: Path) -> None:
    load_builtin()
    first = next(command.outcomes("replay", [], [], tmp_path))
    assert (first.check, first.status) == ("It fits a model", "passed")
    assert first.why.startswith("not on encoder: ")


def test_mistakes_are_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["selfcheck", "lfw"]) == 2
    assert "unknown method 'lfw'" in capsys.readouterr().err
    assert main(["selfcheck", "l2sp", "--set", "l2sp.alpha=-1"]) == 2
    assert "l2sp.alpha = '-1'" in capsys.readouterr().err.replace("-1.0", "'-1'")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(["selfcheck", "l2sp"]) == 2
    err = capsys.readouterr().err
    assert "by itself, also sharded: leave the launcher out." in err and err.count("\n") == 1
