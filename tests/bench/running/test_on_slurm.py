"""Jobs of Slurm, tried with submitit's executor of processes on this machine.

What both executors share, bench.running.remote and bench.running.clusters, is tested here and in
test_on_ray.py.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bench import BenchError, compare, load
from bench.running import clusters
from bench.running.clusters import parameters
from bench.selfcheck.world import World
from tests.helpers.slow_method import SLOW

pytest.importorskip("submitit", reason="needs the extra [slurm]")

ROOT = Path(__file__).parents[3]
SAME = ("scores", "curve", "drift", "flips", "retention", "forgotten")


def words_of(world: World, folder: Path, *more: object) -> list[str]:
    words = ["--model", world.models["causal"], "--data", world.data, "--retention", world.text]
    words += ["--out", folder, "--set", "train.retention_tokens=128", "train.forget_rows=8"]
    return [*map(str, words), *map(str, more)]


@pytest.mark.slow
def test_a_preempted_job_is_queued_again_and_goes_on(world: World, tmp_path: Path) -> None:
    """The signal of a preemption reaches a job in the midst of training; what comes out in the end
    is what one process gives."""
    (tmp_path / "slow.py").write_text(SLOW)
    grid = ["--methods", "slow", "--tasks", "cola", "--steps", "60", "--seeds", "1"]
    grid += ["--no-reference", "--plugin", str(tmp_path / "slow.py")]
    folder = tmp_path / "run"
    local = ["--executor", "slurm", "--slurm", "cluster=local", "--jobs", "1"]
    command = [sys.executable, str(ROOT / "run_bench.py"), *words_of(world, folder, *grid), *local]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        _wait_for(lambda: any(folder.glob("locks/*.json")), process)
        (note,) = folder.glob("locks/*.json")
        _wait_for(lambda: _stage(note) == "train", process)
        (lease,) = folder.glob("locks/*.lock")
        os.kill(_owner(lease), signal.SIGUSR2)
        _wait_for(lambda: any(folder.glob("checkpoints/*/checkpoint.json")), process)
        (tmp_path / "quick").touch()
        _, err = process.communicate(timeout=240)
    finally:
        process.kill()
    assert process.returncode == 0, err
    (found,) = load(folder).results
    assert found["provenance"]["resumes"] == 1
    one = tmp_path / "one"
    plain = [sys.executable, str(ROOT / "run_bench.py"), *words_of(world, one, *grid)]
    subprocess.run([*plain, "--jobs", "1"], check=True, capture_output=True, cwd=ROOT)
    (wanted,) = load(one).results
    assert {k: found[k] for k in SAME} == {k: wanted[k] for k in SAME}  # type: ignore[literal-required]
    assert "slow x cola x seed 0: " in err


def _wait_for(what: Any, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not what():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)


def _stage(note: Path) -> str:
    try:
        return str(json.loads(note.read_text())["stage"])
    except ValueError:
        return ""


def _owner(lease: Path) -> int:
    from filelock import SoftFileLease

    owner = SoftFileLease(lease).owner
    assert owner is not None
    return owner.pid


def test_parameters_are_submitits() -> None:
    given = ["partition=gpu", "mem_gb=32", "gpus_per_node=1", "slurm_account=me", "cluster=local"]
    assert parameters(given) == {
        "slurm_partition": "gpu",
        "mem_gb": 32,
        "gpus_per_node": 1,
        "slurm_account": "me",
        "cluster": "local",
    }


def test_what_cannot_be_submitted_is_one_line(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters.shutil, "which", lambda name: None)
    given = {
        "model": str(world.models["causal"]),
        "data": str(world.data),
        "out": tmp_path / "run",
        "seeds": 1,
        "progress": False,
        "executor": "slurm",
    }
    for asked, said in (
        ({}, r"^--executor slurm: there is no sbatch here"),
        ({"slurm": "gpu"}, r"^--slurm 'gpu' is not of the form NAME=VALUE"),
        ({"slurm": "cluster=local,partitoin=a"}, r"^--slurm .*,.*Unknown argument 'partitoin'"),
        ({"slurm": "cluster=local,mem_gb=lots"}, r'^--slurm .*"mem_gb" expected type'),
        ({"slurm": "cluster=nowhere"}, r"^--slurm cluster=nowhere: .*named nowhere"),
        ({"slurm": "a=b", "executor": "local"}, r"^--slurm is for --executor slurm"),
        ({"executor": "slrum"}, r"^executor = 'slrum' is out of range"),
    ):
        with pytest.raises(BenchError, match=said):
            compare("finetune", "cola", **{**given, **asked})
    assert not (tmp_path / "run").exists(), "it is said before anything starts"
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(BenchError, match=r"^--executor slurm: accelerate's processes share each"):
        compare("finetune", "cola", **given)


def test_without_its_extra_it_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for name in ("ray", "slurm"):
        said = rf"^--executor {name} needs the extra \[{name}\]: pip install forgetting-bench\["
        with pytest.raises(BenchError, match=said):
            compare("finetune", "cola", executor=name, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
