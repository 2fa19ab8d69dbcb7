"""Cells of one folder, of which other processes run some."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.cells.cell import AnyCell
from bench.cells.measured import asked
from bench.cells.store import Store
from bench.core.lease import Lease
from bench.running import sharing
from bench.running.blank import failed_result
from bench.running.sharing import Shared, in_step
from bench.selfcheck.world import cells_of, plan_for
from tests.helpers.made_up import predictions, result

ROOT = Path(__file__).parents[3]


@pytest.fixture
def three(tiny_causal: Path, tiny_data: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Three cells; a look at what others do is quick."""
    monkeypatch.setattr(sharing, "_LOOK_SECONDS", 0.01)
    return cells_of(plan_for(["finetune"], ["cola"], tiny_causal, tiny_data, seeds=3))


class _Told(Shared):
    """A share of the cells that keeps what it says and passes."""

    def __init__(self, cells: list[Any], folder: Path) -> None:
        self.told: list[str] = []
        self.left_out: list[AnyCell] = []
        super().__init__(
            cells,
            Store(folder),
            False,
            self.told.append,
            lambda cell, result: self.left_out.append(cell),
        )


def _lease(folder: Path, cell: AnyCell) -> Lease:
    return Lease(folder / "locks" / f"{cell.hash[:24]}.lock")


def _done(cell: AnyCell) -> Any:
    found = {"hash": cell.hash, "cell": cell.identity(), "measured": asked(cell)}
    return {**result(), **found}


def test_each_cell_is_in_hand_once_and_leased_then(three: list[Any], tmp_path: Path) -> None:
    shared = _Told(three, tmp_path)
    for cell, expected in zip(shared.take(three), three, strict=True):
        assert cell == expected
        assert [_lease(tmp_path, other).take() for other in three if other == cell] == [False]
    assert not any((tmp_path / "locks").iterdir())


def test_what_another_runs_is_left_to_it_and_waited_for(three: list[Any], tmp_path: Path) -> None:
    theirs = _lease(tmp_path, three[0])
    assert theirs.take()
    shared = _Told(three, tmp_path)
    given = shared.take(three)
    assert [next(given), next(given)] == three[1:]
    assert next(given) is None and next(given) is None
    (said,) = shared.told  # once, not at each look
    assert said.startswith(f"waiting for {three[0]}: process ") and said.endswith(" runs it")
    done = _done(three[0])
    shared.store.write(done, predictions(done))
    theirs.drop()
    assert list(given) == []
    assert shared.left_out == [three[0]]


def test_what_another_fails_meanwhile_is_not_tried_again(three: list[Any], tmp_path: Path) -> None:
    Store(tmp_path).write(failed_result(three[2], "before this run"), None)
    shared = _Told(three, tmp_path)
    given = shared.take(three)
    assert next(given) == three[0]
    shared.store.write(failed_result(three[1], "another process's"), None)
    assert next(given) == three[2] and shared.left_out == [three[1]]


def test_the_leases_of_one_that_dies_are_free(three: list[Any], tmp_path: Path) -> None:
    given = _Told(three, tmp_path).take(three)
    assert next(given) == three[0]
    given.close()
    assert list(in_step(_Told(three, tmp_path).take(three))) == three


@pytest.mark.slow
def test_the_processes_of_one_run_go_through_the_cells_in_step(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    grid = ["--methods", "finetune", "--tasks", "cola", "--seeds", "3", "--steps", "2"]
    grid += ["--model", str(tiny_causal), "--data", str(tiny_data), "--out", str(tmp_path / "run")]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    command += ["--master-port=0", "--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0"]
    command += [str(ROOT / "run_bench.py"), *grid, "--set", "train.retention_tokens=128"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    store = Store(tmp_path / "run")
    for _ in range(2):  # to run, and all done
        run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
        assert run.returncode == 0, run.stderr
        assert [one["status"] for one in store.all()] == ["done"] * 3
    assert not any((tmp_path / "run" / "locks").iterdir())
