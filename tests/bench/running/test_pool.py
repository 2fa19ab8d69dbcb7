"""Cells on several processes: what comes out is the same, and a dead process costs its cell.

Nearly all goes through bench.running.server, bench.running.worker and bench.core.stops.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from filelock import SoftFileLease

from bench import BenchError, Card, Method, compare, load
from bench.cells.store import Store
from bench.running import workers
from bench.running.order import next_cell
from bench.running.workers import how_many
from bench.selfcheck.world import World, plan_for
from tests.conftest import Run

ROOT = Path(__file__).parents[3]

_DIES = """\
import os, signal
from bench import Card, Method, register_method

@register_method("dies")
class Dies(Method):
    card = Card("t", "p", "e", "d", "none")

    def after_step(self, run):
        if run.step == 2:
            os._exit(7)

@register_method("crashes")
class Crashes(Method):
    card = Card("t", "p", "e", "d", "none")

    def after_step(self, run):
        if run.step == 2:
            os.kill(os.getpid(), signal.SIGSEGV)
"""
_SAME = ("scores", "curve", "drift", "flips", "retention", "forgotten", "elicited", "sequence")


def _options(world: World, folder: Path) -> dict[str, Any]:
    model, text = str(world.models["causal"]), str(world.text)
    return {
        "model": model,
        "data": str(world.data),
        "retention": text,
        "steps": 4,
        "out": folder,
        "progress": False,
    }


def test_two_workers_give_what_one_process_gives(world: World, tmp_path: Path) -> None:
    """Among them cells that share work, a sequence, and a method that ends its process."""
    (tmp_path / "dies.py").write_text(_DIES)
    methods, tasks = ["lwf"], ["cola", "cola>rte"]
    one = compare(methods, tasks, seeds=1, **_options(world, tmp_path / "one"))
    two = compare(
        [*methods, "dies", "crashes"],
        tasks,
        seeds=1,
        jobs=2,
        plugin=[tmp_path / "dies.py"],
        **_options(world, tmp_path / "two"),
    )
    found = {result["hash"]: result for result in two.results}
    wanted = Store(tmp_path / "one")
    for result in one.results:
        same = found[result["hash"]]
        assert {name: same[name] for name in _SAME} == {name: result[name] for name in _SAME}  # type: ignore[literal-required]
        answers = Store(tmp_path / "two").predictions(same)
        assert answers == wanted.predictions(result)
    dead = {(bad.method, bad.task): bad.error for bad in two.failed}
    assert dead == {
        (method, task): error
        for task in tasks
        for method, error in (
            ("dies", "its process ended in the midst, with exit code 7"),
            ("crashes", "its process was ended by SIGSEGV"),
        )
    }
    logs = {bad.method: bad.log.read_text() for bad in two.failed if bad.log is not None}
    assert "\nlast seen at: " in logs["dies"]
    assert "Segmentation fault" in logs["crashes"] and 'dies.py", line 18 in' in logs["crashes"]
    assert len(two.results) == 4 * 2
    entries = [path.name for path in (tmp_path / "two" / "cache").iterdir()]
    assert entries and not any(name.endswith(".lock") for name in entries)


_SLOW = """\
import time
from pathlib import Path
from bench import Card, Method, register_method

@register_method("slow")
class Slow(Method):
    card = Card("t", "p", "e", "d", "none")

    def after_step(self, run):
        Path(__file__).with_name(f"seed{run.cell.seed}").touch()
        time.sleep(0.0 if Path(__file__).with_name("quick").exists() else 0.2)
"""


@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow),
        (signal.SIGTERM, 143),
        pytest.param(signal.SIGKILL, -9, marks=pytest.mark.slow),
    ],
)
def test_a_stop_reaches_every_worker_and_the_same_command_goes_on(
    world: World, tmp_path: Path, number: int, code: int, run: Run, registry_of_this_test: None
) -> None:
    """SIGINT comes to the whole group of processes, as in a terminal; after SIGKILL, workers that
    find themselves alone stop by themselves."""
    (tmp_path / "slow.py").write_text(_SLOW)
    folder = tmp_path / "run"
    words = [
        "--methods",
        "slow",
        "--tasks",
        "cola",
        "--no-reference",
        "--seeds",
        "2",
        "--jobs",
        "2",
    ]
    words += ["--plugin", str(tmp_path / "slow.py"), "--steps", "100", "--out", str(folder)]
    words += ["--model", str(world.models["causal"]), "--data", str(world.data)]
    command = [sys.executable, str(ROOT / "run_bench.py"), *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        while not all((tmp_path / f"seed{seed}").exists() for seed in (0, 1)):
            assert process.poll() is None
            time.sleep(0.05)
        if number == signal.SIGTERM:
            _pause_and_go_on(process.pid, folder)
        os.killpg(process.pid, number)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == code, err
    assert "Traceback" not in err
    deadline = time.monotonic() + 30
    while any((folder / "locks").iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(list((folder / "checkpoints").iterdir())) == 2
    if number == signal.SIGTERM:
        (tmp_path / "quick").touch()
        found = run(*words)
        assert found[0] == 0, found
        assert [r["provenance"]["resumes"] for r in load(folder).results] == [1, 1]


def _pause_and_go_on(parent: int, folder: Path) -> None:
    """Ctrl-Z, then `fg`: workers stop with the first process, and go on with it."""
    leases = list((folder / "locks").glob("*.lock"))
    pids = [parent, *(SoftFileLease(lease).owner.pid for lease in leases)]  # type: ignore[union-attr]
    assert len(pids) == 3
    for sent, stopped in ((signal.SIGTSTP, True), (signal.SIGCONT, False)):
        os.kill(parent, sent)
        deadline = time.monotonic() + 20
        while any((_state(pid) == "T") != stopped for pid in pids):
            assert time.monotonic() < deadline, (sent, [_state(pid) for pid in pids])
            time.sleep(0.05)


def _state(pid: int) -> str:
    """Of a process: "T" where it is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.parametrize("said", [[], [((), ())]])
def test_the_process_that_forks_workers_goes_in_silence(said: list[object]) -> None:
    """Whenever the other one is gone, also before it has said anything."""
    ours, theirs = socket.socketpair()
    script = f"from bench.running.server import main; main({theirs.fileno()})"
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-c", script],
            cwd=ROOT,
            pass_fds=[theirs.fileno()],
            stderr=subprocess.PIPE,
            text=True,
        )
    with Connection(ours.detach()) as control:
        for word in said:
            control.send(word)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")


class Mine(Method):
    """Known to this process alone."""

    name = "mine"
    card = Card("t", "p", "e", "d", "none")


def test_a_method_of_this_process_alone_is_refused(
    world: World, tmp_path: Path, registry_of_this_test: None
) -> None:
    with pytest.raises(BenchError, match=r"^--jobs 2: another process does not know .*'mine'"):
        compare(Mine(Mine.Config()), "cola", jobs=2, seeds=2, **_options(world, tmp_path))


def test_cells_that_share_work_do_not_run_at_once(world: World) -> None:
    plan = plan_for(
        ["finetune", "lwf"], ["cola", "rte"], world.models["causal"], world.data, seeds=1
    )
    cola, cola_lwf, rte, rte_lwf = plan.spec.cells()
    everything = [cola, cola_lwf, rte, rte_lwf]
    assert next_cell(everything, []) == cola
    assert next_cell(everything[1:], [cola]) == rte
    assert next_cell([cola_lwf, rte_lwf], [rte]) == cola_lwf
    assert next_cell([rte_lwf], [rte]) is None  # it would make rte's weights again
    assert next_cell([rte_lwf], [cola_lwf]) == rte_lwf
    assert next_cell([], []) is None


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Eight cores, no GPU, plenty of memory; what a test sets is otherwise."""

    def has(cores: int = 8, gpus: int = 0, gib: float = 100.0, threads: str | None = None) -> None:
        monkeypatch.setattr(workers, "cores", lambda: cores)
        monkeypatch.setattr(workers, "gpus", lambda: [str(number) for number in range(gpus)])
        monkeypatch.setattr(workers, "gpu_names", lambda: ["a card"] * gpus)
        monkeypatch.setattr(workers, "available_bytes", lambda: int(gib * 2**30))
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        if threads:
            monkeypatch.setenv("OMP_NUM_THREADS", threads)

    return has


def test_as_many_workers_as_the_machine_allows(world: World, machine: Any) -> None:
    model = world.models["causal"]
    cells = list(plan_for(["finetune"], ["cola"], model, world.data, seeds=20).spec.cells())
    machine()
    assert how_many(None, cells) == 8
    assert how_many(None, cells[:3]) == 3
    assert how_many(None, []) == 1
    assert how_many(5, cells) == 5
    machine(threads="1")
    assert how_many(None, cells) == 1
    machine(gpus=2)
    assert how_many(None, cells) == 2
    assert how_many(None, cells, per_gpu=3) == how_many(6, cells, per_gpu=3) == 6
    machine(gib=2.2)
    assert how_many(None, cells) == 4  # half a GiB each, and a tiny model


def test_what_cannot_be_is_one_line(
    world: World, machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(cores=2)
    with pytest.raises(BenchError, match=r"^--jobs 3: a worker takes a core, and there are 2.$"):
        how_many(3, [])
    with pytest.raises(BenchError, match=r"^--per-gpu 2: there is no GPU here.$"):
        how_many(None, [], per_gpu=2)
    machine(gpus=2)
    with pytest.raises(BenchError, match=r"^--jobs 5: 2 GPUs of 2 at a time take 4; --per-gpu 3"):
        how_many(5, [], per_gpu=2)
    with pytest.raises(BenchError, match=r"^--jobs 3: 2 GPUs of 1 at a time take 2; --per-gpu 2"):
        how_many(3, [])
    monkeypatch.setattr(workers, "gpus", lambda: ["0", "7"])
    with pytest.raises(BenchError, match=r"^CUDA_VISIBLE_DEVICES names GPU 7, and there are 2.$"):
        how_many(None, [])
    machine(cores=2)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert how_many(None, []) == 1
    with pytest.raises(BenchError, match=r"^--jobs 2: accelerate's processes share each cell"):
        how_many(2, [])
