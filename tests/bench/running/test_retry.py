"""A cell that failed stays failed while nothing of it has changed; `--retry failed` runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.cells.cell import AnyCell
from bench.core.errors import CellError
from bench.planning.options import read
from bench.running.finishing import finished
from bench.running.job import Job, planned
from bench.running.measuring import Measuring
from bench.selfcheck.world import World


def job(world: World, out: Path, **others: Any) -> Job:
    """Two cells of finetune, as the folder is now."""
    words = {"methods": ("finetune",), "tasks": ("cola",), "seeds": 2, "steps": 3, "out": out}
    words |= {"model": (str(world.models["encoder"]),), "data": str(world.data), "jobs": 1}
    words |= {"keep_weights": "none"}  # a checkpoint is all that is left of a training
    return planned(read({**words, **others}))


def breaking(monkeypatch: pytest.MonkeyPatch, steps: list[int], error: Exception) -> None:
    """Let the cell of the first seed end with an error once it is trained."""
    scores = Measuring.task_scores

    def broken(measuring: Measuring, outputs: Any) -> Any:
        if steps and measuring.cell.seed == 0:
            raise error
        return scores(measuring, outputs)

    monkeypatch.setattr(Measuring, "task_scores", broken)


def test_a_cell_that_failed_runs_again_when_asked_and_goes_on_from_its_training(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: list[int]
) -> None:
    with monkeypatch.context() as patch:
        breaking(patch, steps, CellError("no room"))
        first = finished(job(world, tmp_path), quiet=True).results
    assert [result["error"] for result in first] == ["no room", None]
    again = job(world, tmp_path)
    assert again.todo == () and again.failed == {"no room": [again.cells[0]]}
    assert [r["status"] for r in finished(again, quiet=True).results] == ["failed", "done"]
    asked = job(world, tmp_path, retry="failed")
    assert asked.todo == again.cells[:1] and not asked.failed
    assert asked.reasons() == {"failed before: no room": [asked.todo[0]]}
    assert [r["status"] for r in finished(asked, quiet=True).results] == ["done", "done"]
    assert len(steps) == 6, "each was trained once"
    assert not any((tmp_path / "checkpoints").iterdir())
    assert job(world, tmp_path, retry="failed").todo == ()


def test_what_the_machine_failed_runs_again_without_a_word(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: list[int]
) -> None:
    """A disk or a network, also behind another error, may be mended by the next call."""
    full = CellError("cannot be written")
    full.__cause__ = OSError(28, "No space left on device")
    for error in (full, ConnectionError("nobody answers")):
        with monkeypatch.context() as patch:
            breaking(patch, steps, error)
            finished(job(world, tmp_path), quiet=True)
        again = job(world, tmp_path)
        assert again.todo == again.cells[:1] and not again.failed


def test_other_code_may_do_better(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: list[int]
) -> None:
    """What is not known to be the same runs again, too: results of older versions, notebooks."""

    def todo(code: str) -> tuple[AnyCell, ...]:
        monkeypatch.setattr("bench.training.method.code_digest", lambda _: code)
        return job(world, tmp_path).todo

    breaking(monkeypatch, steps, CellError("no"))
    assert len(todo("one")) == 2
    finished(job(world, tmp_path), quiet=True)
    assert todo("one") == () and len(todo("another")) == len(todo("")) == 1
    finished(job(world, tmp_path), quiet=True)
    assert len(todo("")) == 1
