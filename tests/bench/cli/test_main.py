"""The command line as a person uses it: boards, second calls, what fails and what is stopped.

It is what tests bench.render.plan, bench.render.status, bench.running.job and
bench.running.progress, too.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.core import files
from tests.conftest import Run

ROOT = Path(__file__).parents[3]


def test_a_run_shows_plan_cells_and_board(run: Run, grid: list[object], tmp_path: Path) -> None:
    code, out, err = run(*grid)
    assert code == 0
    assert "2 methods x 2 tasks x 1 model x 2 seeds = 8 cells, 0 done, 8 to run" in out
    assert str(tmp_path / "run") in out
    assert err.count("[8/8] ") == 2  # one line when a cell starts, one when it ends
    assert "finetune x cola x seed 0" in err
    assert "cola: Matthews correlation ×100" in out
    for suffix in ("md", "csv", "json"):
        assert (tmp_path / "run" / f"leaderboard.{suffix}").stat().st_size > 100
    results = [
        path
        for path in (tmp_path / "run" / "cells").glob("*.json")
        if not path.name.endswith(".rows.json")
    ]
    assert len(results) == 8
    assert not (tmp_path / "run" / "checkpoints").exists() or not any(
        (tmp_path / "run" / "checkpoints").iterdir()
    )


def test_a_second_call_runs_nothing_and_a_changed_setting_only_what_changed(
    run: Run, grid: list[object], tmp_path: Path
) -> None:
    _, first, _ = run(*grid)
    times = {p: p.stat().st_mtime_ns for p in (tmp_path / "run" / "cells").iterdir()}
    code, second, err = run(*grid)
    assert code == 0
    assert "8 done, 0 to run" in second
    assert "[" not in err
    assert second.partition("\n\n")[2] == first.partition("\n\n")[2]  # the same board
    assert times == {p: p.stat().st_mtime_ns for p in (tmp_path / "run" / "cells").iterdir()}
    code, third, err = run(*grid, "recadam.k=0.2")
    assert "4 done, 4 to run" in third
    assert "recadam[k=0.2]" in third
    assert "finetune x" not in err
    boards = list((tmp_path / "run").glob("leaderboard.*"))
    for path in boards:
        path.write_text("old")
    code, fourth, _ = run("table", tmp_path / "run")
    assert code == 0
    assert "recadam[k=0.2]" in fourth
    assert len(boards) == 3 and all(path.read_text() == "old" for path in boards)
    assert run("table", tmp_path / "run", "--write")[0] == 0
    assert all(path.read_text() != "old" for path in boards)


_FRAGILE = """\
from bench import Card, Method, register_method
@register_method("fragile")
class Fragile(Method):
    card = Card("t", "p", "e", "d", "none")
    def after_step(self, run):
        if run.cell.seed == 1:
            raise ValueError("seed one is bad")
"""


@pytest.mark.usefixtures("registry_of_this_test")
def test_a_failed_cell_is_shown_and_the_others_finish(
    run: Run, grid: list[object], tmp_path: Path
) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text(_FRAGILE)
    words = [*grid, "--plugin", plugin]
    words[1] = "fragile"
    code, out, err = run(*words)
    assert code == 1
    assert "fragile x cola x seed 1: FAILED, ValueError: seed one is bad" in err
    assert "fragile seed 1 failed: ValueError: seed one is bad" in out
    assert "1/2" in out
    log, _ = sorted((tmp_path / "run" / "logs").iterdir())
    assert re.fullmatch(r"fragile-cola-seed1-[0-9a-f]{12}\.txt", log.name)
    assert f"FAILED, ValueError: seed one is bad (mine.py:7)\n    log: {log}\n" in err
    assert "mine.py" in log.read_text()
    code, out, _ = run("status", tmp_path / "run")
    assert code == 0
    assert "6 done, 2 failed, 0 refused, 0 stopped" in out
    code, out, err = run(*words)  # they would fail again
    assert (code, err.count("[")) == (1, 0)
    assert "= 8 cells, 2 failed before, 6 done, 0 to run" in out.replace("\n  ", " ")
    assert "  failed     2 ValueError: seed one is bad (mine.py:7)\n" in out
    assert "--retry failed runs them again" in out and "fragile seed 1 failed: ValueError" in out
    code, out, _ = run("explain", "fragile x cola x seed 1", *words)
    assert code == 0 and "failed before: ValueError: seed one is bad (mine.py:7) (--retry" in out
    code, out, err = run(*words, "--retry", "failed")
    assert (code, err.count(": FAILED, ")) == (1, 2) and "6 done, 2 to run" in out
    assert run(*words, "--retry", "all")[0] == 2
    plugin.write_text(plugin.read_text().replace("== 1", "== 99"))
    # the mended cells run again, and only they
    code, out, _ = run(*words)
    assert code == 0
    assert "6 done, 2 to run" in out


def test_what_a_killed_run_left_is_swept(run: Run, grid: list[object], tmp_path: Path) -> None:
    """Killed between a result and the end of its checkpoint, and while it wrote into the cache."""
    folder = tmp_path / "run"
    run(*grid, "--seeds", 1, "--no-reference")
    cell, _ = {json.loads(p.read_text())["hash"] for p in folder.glob("cells/*.rows.json")}
    for suffix in ("", ".new", ".old"):
        (folder / "checkpoints" / f"{cell[:24]}{suffix}").mkdir(parents=True)
    assert ", 0 stopped" in run("status", folder)[1]
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for path in (".leaderboard.md", "cache/.x.json"):
        (folder / f"{path}.{files._host()}-{gone.pid}-abcd.tmp").touch()
    run(*grid, "--seeds", 1, "--no-reference")
    assert not any((folder / "checkpoints").iterdir()) and not list(folder.rglob(".*.tmp"))


@pytest.mark.usefixtures("registry_of_this_test")
@pytest.mark.parametrize(
    ("seed", "said"),
    [
        (1, "[4/4] fragile x cola x seed 1: FAILED, ValueError: seed one is bad (mine.py:7)\n"),
        (9, ""),
    ],
)
def test_of_several_processes_the_others_say_only_what_fails(
    run: Run,
    grid: list[object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
    said: str,
) -> None:
    (tmp_path / "mine.py").write_text(_FRAGILE.replace("== 1", f"== {seed}"))
    monkeypatch.setenv("RANK", "1")
    words = [*grid, "--plugin", tmp_path / "mine.py", "--tasks", "cola"]
    words[1] = "fragile"
    code, out, err = run(*words)
    logs = list(tmp_path.glob("run/logs/fragile-cola-seed1-*-process1.txt"))
    assert (code, out, err) == (0, "", said + "".join(f"    log: {log}\n" for log in logs))
    assert len(logs) == bool(said)
    assert any((tmp_path / "run" / "checkpoints").iterdir())  # the first process's to remove


@pytest.mark.usefixtures("registry_of_this_test")
def test_what_one_of_several_processes_fails_ends_the_run(
    run: Run, grid: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(_FRAGILE)
    monkeypatch.setattr("bench.running.executor._all_failed", lambda: False)
    words = [*grid, "--plugin", tmp_path / "mine.py", "--tasks", "cola"]
    words[1] = "fragile"
    code, _, err = run(*words)
    said = (
        "process 0 failed fragile x cola x seed 1, and not all others: ValueError: seed one is bad"
    )
    assert code == 2 and said in err
    assert not list(tmp_path.glob("run/cells/fragile-cola-seed1*"))


_TELLS = """\
from pathlib import Path

from bench import Card, Method, register_method


@register_method("tells")
class Tells(Method):
    card = Card("t", "p", "e", "d", "none")

    def after_step(self, run):
        Path(__file__).with_name("trains").touch()
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_has_a_checkpoint(
    grid: list[object], tmp_path: Path, number: signal.Signals, code: int
) -> None:
    (tmp_path / "tells.py").write_text(_TELLS)
    words = [*grid, "--steps", 100000, "--no-reference", "--plugin", tmp_path / "tells.py"]
    words[1] = "tells"
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "run_bench.py"), *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    try:
        while not (tmp_path / "trains").exists() and process.poll() is None:
            time.sleep(0.1)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == code, err
    assert "Traceback" not in err
    (checkpoint,) = (tmp_path / "run" / "checkpoints").iterdir()
    assert json.loads((checkpoint / "checkpoint.json").read_text())["step"] > 0


_SLOW = """\
import os, signal, sys, time
os.kill(os.getpid(), signal.{name})
for _ in range(20):
    time.sleep(0.01)
print("imported whole", flush=True)
"""


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_stop_waits_for_an_import_to_end(tmp_path: Path, name: str, code: int) -> None:
    """One that came in its midst may be swallowed there, and leave a package half imported."""
    (tmp_path / "slow_import.py").write_text(_SLOW.format(name=name))
    script = (
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # the shell may ignore it
        "from bench.cli import commands\n"
        "from bench.cli.main import main\n"
        "def run(words):\n"
        "    try:\n"
        "        import slow_import\n"
        "    except BaseException:\n"
        "        print('swallowed')\n"
        "    while True: pass\n"
        "commands.run = run\n"
        "sys.exit(main(['--x']))\n"
    )
    path = os.pathsep.join([str(ROOT), str(tmp_path)])
    done = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": path},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout == "imported whole\n"
    said = "stopped. The same command goes on from here.\n"
    assert (done.returncode, done.stderr) == (code, said)


_LEAVING = """\
import atexit, os, signal, sys, time
from bench.cli import commands
from bench.cli.main import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # the shell may ignore it
def again():
    os.kill(os.getpid(), signal.{name})
    time.sleep(0.01)
atexit.register(again)
class Odd:
    def __del__(self):
        again()
def run(words):
    odd = Odd()
    del odd
    try:
        time.sleep(60)
    finally:
        again()
commands.run = run
sys.argv[1:] = ["--x"]
sys.exit(main())
"""


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_stop_that_comes_again_while_it_leaves_is_no_traceback(name: str, code: int) -> None:
    """The first comes while an object goes, where Python drops errors; others while what runs is
    left, and behind the last line."""
    done = subprocess.run(
        [sys.executable, "-c", _LEAVING.format(name=name)], cwd=ROOT,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    said = "stopped. The same command goes on from here.\n"
    assert (done.returncode, done.stderr) == (code, said)


def test_lists_and_tables_are_quick_and_need_no_torch(
    run: Run, grid: list[object], tmp_path: Path
) -> None:
    run(*grid)
    script = (
        "import sys\n"
        "from bench.cli.main import main\n"
        "try:\n"
        "    code = main(sys.argv[1:])\n"
        "except SystemExit as stop:\n"
        "    code = stop.code\n"
        "assert not code, code\n"
        "heavy = {'torch', 'transformers', 'datasets', 'accelerate', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    folder = str(tmp_path / "run")
    commands = [["--help"], ["list", "methods"], ["list", "tasks"], ["list", "models"]]
    commands += [
        ["show", "lwf"],
        ["show", "mnli"],
        ["status", folder],
        ["table", folder],
        [*map(str, grid), "--dry-run"],
        [*map(str, grid)],  # of which nothing is left to run
    ]
    for words in commands:
        done = subprocess.run(
            [sys.executable, "-c", script, *words],
            capture_output=True, text=True, cwd=ROOT, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (words, done.stderr)
        assert done.stdout


def test_cards_of_tasks_say_where_their_rows_lie(run: Run) -> None:
    _, ax, _ = run("show", "ax")
    assert "training rows: those of mnli" in ax
    assert "folder: glue/diagnostic: diagnostic-full.tsv" in ax
    assert "hub:" not in ax
    _, psychol, _ = run("show", "psychol")
    assert "trained on MMLU's validation split, scored on its test split" in psychol
    _, qnli, _ = run("show", "qnli")
    assert "rows: ~104743 train, 5463 dev as published; ~ not counted here" in qnli
    assert "(qnli) at bcdcba79d07b (never loaded here)" in qnli
    code, _, err = run("show", "pyschol")
    assert code == 2
    assert "Did you mean 'psychol'" in err


def test_a_dry_run_writes_nothing(run: Run, grid: list[object], tmp_path: Path) -> None:
    code, out, _ = run(*grid, "--dry-run")
    assert code == 0
    assert "8 to run" in out
    assert not (tmp_path / "run").exists()


def test_forgetting_tasks(run: Run, grid: list[object]) -> None:
    _, out, _ = run(*grid, "--dry-run")
    assert "forgetting task rte" in out and "forgetting task cola" in out
    _, out, _ = run(*grid, "--dry-run", "--forget", "rte")
    assert "rte cannot be its own forgetting task; it forgets cola" in out
    words = [*grid, "--dry-run"]
    words[3] = "cola"  # alone: it forgets the rest of the suite that the data holds
    _, out, _ = run(*words)
    assert "forgetting task rte" in out
