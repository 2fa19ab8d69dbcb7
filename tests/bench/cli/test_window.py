"""What the commands print fits a window of 80 columns, and one that is wider."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cells.store import Store
from bench.cli.main import main
from bench.planning.plugins import load_builtin
from bench.rows.task import TASKS
from bench.training.method import METHODS
from tests.helpers.made_up import result

load_builtin()
LONG = "ewc+lwf[interval=4,keep=0.5,learning_rate=0.125]"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A run with long labels and failures; its path is short, for paths are never broken."""
    store = Store(tmp_path / "run")
    for seed in range(3):
        store.write(result(seed=seed), None)
        store.write(result("lwf", "rte", seed, label=LONG), None)
    store.write(result("lwf", seed=0, label=LONG, error="loss is nan " * 20), None)
    monkeypatch.chdir(tmp_path)
    return "run"


def fits(words: list[str], width: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert shown
    assert [line for line in shown.splitlines() if len(line) > width] == []


@pytest.mark.parametrize("width", [80, 100])
def test_of_a_folder(
    width: int, folder: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    for command in (["table"], ["table", "--write"], ["status"]):
        fits([*command, folder], width, capsys)


@pytest.mark.parametrize("width", [80, 100])
def test_lists_and_cards(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    for what in ("methods", "tasks", "models", "presets"):
        fits(["list", what], width, capsys)
    for name in (*METHODS.names(), *TASKS.names()):
        fits(["show", name], width, capsys)


@pytest.mark.parametrize("command", [[], ["list"], ["show"], ["table"], ["status"], ["selfcheck"]])
def test_help(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main([*command, "--help"])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_a_plan(
    tiny_causal: Path,
    tiny_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    Path("m").symlink_to(tiny_causal)
    Path("d").symlink_to(tiny_data)
    words = ["--model", "m", "--data", "d", "--dry-run", "--out", "run", "--steps", "7"]
    words += ["--methods", "ewc,lwf,recadam,lora,mixout,replay,ga,npo,recadam+lora,wise_ft,mas"]
    fits([*words, "--tasks", "cola,rte,cola>rte", "--seeds", "40"], 80, capsys)
