"""How far a folder is: what runs and where, what is stopped, what waits, and how long it takes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.cells.state import (
    Notice,
    Planned,
    State,
    keep_plan,
    lease_path,
    notice_path,
    state_of,
    where,
)
from bench.cells.store import Store
from bench.core.lease import Lease
from bench.render.status import status
from bench.running.executor import run_in_process
from bench.selfcheck.world import World, plan_for
from bench.training.context import TrainingContext
from methods.finetune import Finetune
from tests.conftest import Run
from tests.helpers.made_up import result

ROOT = Path(__file__).parents[3]


def made_up(folder: Path) -> list[str]:
    """One cell each that is done, runs, is stopped and waits; their hashes."""
    cells = [result("finetune", "cola", seed, seconds=10.0) for seed in range(4)]
    hashes = [cell["hash"] for cell in cells]
    Store(folder).write(cells[0], None)
    planned = [
        Planned(hash=hash, cell=f"finetune x cola x seed {n}", method="finetune", task="cola")
        for n, hash in enumerate(hashes)
    ]
    (folder / "plan.json").write_text(json.dumps(planned))
    (folder / "checkpoints" / hashes[2][:24]).mkdir(parents=True)
    return hashes


def test_all_that_a_cell_can_be(tmp_path: Path) -> None:
    hashes = made_up(tmp_path)
    lease = Lease(lease_path(tmp_path, hashes[1]))
    assert lease.take()
    note = Notice(cell="x", stage="train", done=3, total=12, loss=0.5, seconds=4.0)
    said, now = notice_path(tmp_path, hashes[1]), time.time()
    said.write_text(json.dumps(note))
    try:
        os.utime(said, (now - 30, now - 30))
        silent = state_of(tmp_path, {}).running[0].notice
        os.utime(said, (now + 3600, now + 3600))  # by another machine's clock
        state = state_of(tmp_path, {})
    finally:
        lease.drop()
    whole = state.results[0]["costs"]
    assert whole is not None
    assert silent is not None and silent["seconds"] == pytest.approx(34, abs=3), "time goes on"
    (running,) = state.running
    assert (running.name, running.notice) == ("finetune x cola x seed 1", note)
    assert running.left == whole["total"] - 4.0
    assert state.stopped == ["finetune x cola x seed 2"]
    assert state.waiting == ["finetune x cola x seed 3"]
    assert state.left == pytest.approx(2 * whole["total"] + running.left)  # one runs at a time
    text = status(state, tmp_path, 80)
    assert "1 done, 0 failed, 0 refused, 1 stopped, 1 running, 1 waiting; about " in text
    flat = " ".join(text.split())
    assert "running: finetune x cola x seed 1: train 3/12, loss 0.5000; 4 s so far, " in flat
    assert "waiting: finetune x cola x seed 3" in flat
    assert max(map(len, text.splitlines()[1:])) <= 80


def test_who_is_dead_runs_nothing(tmp_path: Path) -> None:
    """Killed in the midst: the lease stays, and so does its last word."""
    hashes = made_up(tmp_path)
    path = lease_path(tmp_path, hashes[1])
    script = "from pathlib import Path; import os, sys; from bench.core.lease import Lease\n"
    script += "lease = Lease(Path(sys.argv[1])); lease.take(); os._exit(1)"
    subprocess.run([sys.executable, "-c", script, str(path)], cwd=ROOT, check=False)
    assert path.is_file()
    assert state_of(tmp_path, {}).running == []
    (tmp_path / "checkpoints" / hashes[1][:24]).mkdir()
    assert len(state_of(tmp_path, {}).stopped) == 2


@pytest.mark.parametrize("text", ["", "[", "7", "[7]", '{"cell": 1}', '[{"hash": "a"}]', "null"])
def test_what_cannot_be_read_is_not_there(tmp_path: Path, text: str) -> None:
    hashes = made_up(tmp_path)
    lease = Lease(lease_path(tmp_path, hashes[1]))
    assert lease.take()
    try:
        for path in (tmp_path / "plan.json", notice_path(tmp_path, hashes[1])):
            path.write_text(text)
        state = state_of(tmp_path, {})
    finally:
        lease.drop()
    assert [one.notice for one in state.running] == [None] and state.waiting == []
    assert status(state, tmp_path)


def test_a_run_says_where_it_is(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_for(["finetune"], ["cola"], world.models["causal"], world.data, seeds=2)
    cells, seen = list(plan.spec.cells()), list[State]()

    def look(_: Finetune, run: TrainingContext) -> None:
        if run.step == 2:  # the first step's word is a file by now
            seen.append(state_of(tmp_path, {}))

    monkeypatch.setattr(Finetune, "after_step", look)
    keep_plan(tmp_path, cells)
    run_in_process(plan, cells, Store(tmp_path), tmp_path)
    assert [len(state.waiting) for state in seen] == [1, 0]
    for state, cell in zip(seen, cells, strict=True):
        (running,) = state.running
        assert running.name == str(cell) and f"process {os.getpid()} on " in running.holder
        assert running.notice is not None and running.notice["stage"] == "train"
        assert (running.notice["done"], running.notice["total"]) == (1, 4)
        assert running.left is not None
    assert state_of(tmp_path, {}).is_over
    assert not any((tmp_path / "locks").iterdir())


def test_words_of_a_stage() -> None:
    assert where("train", 3, 12, 0.51291) == "train 3/12, loss 0.5129"
    assert where("score cola", 0, 1, None) == "score cola"


def test_watching_ends_with_the_plan_or_with_ctrl_c(run: Run, tmp_path: Path) -> None:
    hashes = made_up(tmp_path)
    words = [sys.executable, str(ROOT / "run_bench.py"), "status", "--watch", str(tmp_path)]
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert process.stdout is not None
        assert "1 done, 0 failed, 0 refused, 1 stopped, 2 waiting" in process.stdout.readline()
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (process.returncode, err) == (0, "")
    for seed in range(1, 4):
        Store(tmp_path).write(result("finetune", "cola", seed), None)
    (tmp_path / "checkpoints" / hashes[2][:24]).rmdir()
    code, out, _ = run("status", tmp_path, "--watch")
    assert code == 0 and "4 done, 0 failed, 0 refused, 0 stopped\n" in out
    assert run("status", tmp_path / "nowhere", "--watch")[0] == 2
