"""What a failure costs: its cell, never its training; and what several processes agree on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.cells.state import state_of
from bench.cells.store import Store
from bench.core.errors import CellError
from bench.render.status import status
from bench.running.executor import run_in_process
from bench.running.measuring import Measuring
from bench.selfcheck.world import plan_for
from bench.training.context import TrainingContext
from methods.finetune import Finetune

ROOT = Path(__file__).parents[3]

_TWO = """\
import sys, time
import torch.distributed as dist
from bench.running import executor

number, place = int(sys.argv[1]), sys.argv[2]
assert executor._all_failed()  # there is one process
dist.init_process_group("gloo", init_method=f"file://{place}", rank=number, world_size=2)
executor._AGREE_SECONDS = 30.0
assert executor._all_failed()
executor._AGREE_SECONDS = 1.0
assert number == 0 or not executor._all_failed()
time.sleep(2 * (1 - number))
"""


def test_processes_see_whether_all_have_failed(tmp_path: Path) -> None:
    two = [
        subprocess.Popen([sys.executable, "-c", _TWO, str(number), str(tmp_path / "x")], cwd=ROOT)
        for number in (0, 1)
    ]
    try:
        assert [process.wait(60) for process in two] == [0, 0]
    finally:
        for process in two:
            process.kill()


@pytest.mark.parametrize("tasks", ["cola", "cola>rte"])
def test_a_failure_while_it_is_scored_keeps_the_training(
    tiny_causal: Path,
    tiny_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    steps: list[int],
    tasks: str,
) -> None:
    scores = Measuring.task_scores

    def broken(measuring: Measuring, outputs: Any) -> Any:
        if steps:
            raise ValueError("no room to score in")
        return scores(measuring, outputs)

    plan = plan_for(["finetune"], [tasks], tiny_causal, tiny_data)
    cells, store = list(plan.spec.cells()), Store(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Measuring, "task_scores", broken)
        run_in_process(plan, cells, store, tmp_path)
    assert [one["status"] for one in store.all()] == ["failed"]
    assert "0 done, 1 failed, 0 refused, 0 stopped" in status(state_of(tmp_path, {}), tmp_path)
    assert len(steps) == 4  # of a sequence, its first stage
    run_in_process(plan, cells, store, tmp_path)
    assert [one["status"] for one in store.all()] == ["done"]
    assert len(steps) == 4 * len(tasks.split(">"))
    assert not any((tmp_path / "checkpoints").iterdir())


class _OddError(BaseException):
    """What no hook should raise."""


@pytest.mark.parametrize("error", [_OddError("odd"), SystemExit(3), CellError("no"), ValueError()])
def test_whatever_a_hook_raises_costs_its_cell_only(
    tiny_causal: Path,
    tiny_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
) -> None:
    def fails_once(_: Finetune, run: TrainingContext) -> None:
        if run.cell.seed == 0 and run.step == 2:
            raise error

    plan = plan_for(["finetune"], ["cola"], tiny_causal, tiny_data, seeds=2)
    monkeypatch.setattr(Finetune, "after_step", fails_once)
    run_in_process(plan, list(plan.spec.cells()), Store(tmp_path), tmp_path)
    assert [one["status"] for one in Store(tmp_path).all()] == ["failed", "done"]
    assert not any((tmp_path / "checkpoints").iterdir())  # the method may be mended before the next
