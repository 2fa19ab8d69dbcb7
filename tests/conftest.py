"""Real data and a real model, where the machine has them; and a tiny made-up world, always."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from bench.selfcheck.world import World

# The models are so small that a second thread only waits; before torch is imported, for all
# subprocesses too.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["COLUMNS"] = "100"  # whatever the window is, or that of a distributed worker

COUNTS = "counts"
"""A property of a test: a line that the summary shows."""

Run = Callable[..., tuple[int, str, str]]

SHARED = Path(__file__).parents[2] / "shared"


def _there_or_skip(path: Path) -> Path:
    if not path.is_dir():
        pytest.skip(f"needs ../{path.relative_to(SHARED.parent)}, which is not here")
    return path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Call the command line: (exit code, standard output, standard error)."""

    def call(*words: object) -> tuple[int, str, str]:
        from bench.cli.main import main

        capsys.readouterr()
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets (GLUE in the classic layout, retention texts)."""
    return _there_or_skip(SHARED / "data")


@pytest.fixture(scope="session")
def shared_model() -> Path:
    """The folder of stories260K, a small pretrained causal LM."""
    return _there_or_skip(SHARED / "models" / "stories260K")


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The tiny models, rows and text that checks of methods run on."""
    from bench.selfcheck.world import write_world

    return write_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def tiny_causal(world: World) -> Path:
    """The folder of a tiny causal LM."""
    return world.models["causal"]


@pytest.fixture(scope="session")
def tiny_encoder(world: World) -> Path:
    """The folder of a tiny BERT with its masked-LM head."""
    return world.models["encoder"]


@pytest.fixture(scope="session")
def tiny_data(world: World) -> Path:
    """A folder with a few dozen rows of CoLA and RTE in the classic layout."""
    return world.data


@pytest.fixture(scope="session")
def tiny_text(world: World) -> Path:
    """A retention text in the words that the tiny models know."""
    return world.text


@pytest.fixture
def registry_of_this_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is forgotten after it."""
    from bench.planning.plugins import load_builtin
    from bench.rows.source import SOURCES
    from bench.rows.task import TASKS
    from bench.training.method import METHODS

    load_builtin()
    for registry in (METHODS, TASKS, SOURCES):
        monkeypatch.setattr(registry, "_items", dict(registry._items))
        monkeypatch.setattr(registry, "_owners", dict(registry._owners))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what tests have counted, also those of other processes."""
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, value in report.user_properties:
                if name == COUNTS:
                    terminalreporter.write_line(str(value))
