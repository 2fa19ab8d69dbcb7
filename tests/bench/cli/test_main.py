"""The command line as a person uses it: boards, second calls, and every mistake in one line.

It is what tests bench.render.plan, bench.render.status, bench.running.job and
bench.running.progress, too.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.cli.main import main
from bench.core import files
from bench.core.version import SUITE_VERSION

ROOT = Path(__file__).parents[3]
Run = Callable[..., tuple[int, str, str]]
TINY = ["train.retention_tokens=128", "train.forget_rows=8"]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Call the command line: (exit code, standard output, standard error)."""

    def call(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def grid(tiny_causal: Path, tiny_data: Path, tmp_path: Path) -> list[object]:
    """The words of a small run."""
    return [
        "--methods", "recadam", "--tasks", "cola,rte", "--model", tiny_causal,
        "--data", tiny_data, "--seeds", 2, "--out", tmp_path / "run", "--steps", 3,
        "--batch-size", 8, "--set", *TINY,
    ]  # fmt: skip


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
    card = Card("t", "p", "e", "d", "none", 1.0)
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
    card = Card("t", "p", "e", "d", "none", 1.0)

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
        "import sys\n"
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


def test_a_configuration_file_and_the_command_line_over_it(
    run: Run, grid: list[object], tmp_path: Path
) -> None:
    config = tmp_path / "run.toml"
    config.write_text(
        'methods = ["lwf", "recadam"]\ntasks = ["cola", "rte"]\nseeds = 1\n'
        f'model = "{grid[5]}"\ndata = "{grid[7]}"\n'
        "[train]\nsteps = 7\n[lwf]\ninterval = 3\n[recadam]\nk = 0.5\n"
    )
    words = ["--config", config, "--dry-run", "--seeds", 2, "--set", "lwf.interval=5"]
    code, out, _ = run(*words)
    assert code == 0
    assert "3 methods x 2 tasks x 1 model x 2 seeds = 12 cells" in out
    assert "lwf[interval=5], recadam[k=0.5]" in out
    assert " 7 steps" in out


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('seeds = "many"', "seeds = 'many' is not a whole number."),
        ("seeds = true", "seeds = True is not a whole number."),
        ("retention = 3", "retention = 3 is not text or none."),
        ('as = "foo"', "kind = 'foo' is out of range: it must be one of causal, encoder."),
        ('no_reference = "maybe"', "no_reference = 'maybe' is not true or false."),
        ("methods = 3", "methods must be a list of names, not 3."),
        ("sedes = 3", "unknown key of"),
        ("seeds = = 3", "configuration"),
    ],
)
def test_a_configuration_with_a_mistake(run: Run, tmp_path: Path, line: str, message: str) -> None:
    config = tmp_path / "run.toml"
    config.write_text(f"{line}\n")
    code, _, err = run("--tasks", "cola", "--config", config, "--dry-run")
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


def test_forgetting_tasks(run: Run, grid: list[object]) -> None:
    _, out, _ = run(*grid, "--dry-run")
    assert "forgetting task rte" in out and "forgetting task cola" in out
    _, out, _ = run(*grid, "--dry-run", "--forget", "rte")
    assert "rte cannot be its own forgetting task; it forgets cola" in out
    words = [*grid, "--dry-run"]
    words[3] = "cola"  # alone: it forgets the rest of the suite that the data holds
    _, out, _ = run(*words)
    assert "forgetting task rte" in out


MISTAKES: list[tuple[list[str], str]] = [
    (["--methods", "lfw"], "unknown method 'lfw'. Did you mean 'lwf'? Known:"),
    (["--tasks", "colla"], "unknown task 'colla'. Did you mean 'cola'? Known:"),
    (["--seeds", "0"], "seeds = 0 is out of range: it must be >= 1."),
    (["--model", "./nowhere"], "model './nowhere' is no folder here"),
    (["--data", "./nowhere"], "no folder with the task 'cola'; looked at nowhere/glue/CoLA"),
    (["--retention", "./nowhere"], "nowhere cannot be read: No such file or directory."),
    (["--plugin", "./nowhere.py"], "plug-in nowhere.py is not a file"),
    (["--config", "./nowhere.toml"], "nowhere.toml cannot be read: No such file or directory."),
    (["--set", "recadam.kk=1"], "unknown setting of recadam 'kk'. Did you mean 'k'?"),
    (["--set", "recadam.k=-1"], "recadam.k = -1.0 is out of range: it must be > 0."),
    (["--set", "lwf.interval=8"], "unknown method of this run (in --set or the configuration)"),
    (["--set", "k=1"], "--set 'k=1' is not of the form METHOD.SETTING=VALUE."),
    (["--set", "recadam.gamma=1e6"], "is over 1, where the pull overshoots"),
    (["--steps", "many"], "train.steps = 'many' is not a whole number or none."),
    (["--batch-size", "0"], "train.batch_size = 0 is out of range: it must be >= 1."),
    (["--set", "train.steps=9"], "--steps and --set train.steps are the same: give one of them."),
    (["--forget", "colla"], "unknown task 'colla'. Did you mean 'cola'?"),
    (["--methods", ","], "name at least one method and one task"),
]


@pytest.mark.parametrize(("words", "message"), MISTAKES, ids=[" ".join(w) for w, _ in MISTAKES])
def test_a_mistake_is_one_line_and_code_2(
    run: Run, grid: list[object], tmp_path: Path, words: list[str], message: str
) -> None:
    code, out, err = run(*grid, *words)
    assert code == 2
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_model_without_tokenizer_weights_or_known_architecture(
    run: Run, grid: list[object], tiny_causal: Path, tmp_path: Path
) -> None:
    def with_model(change: Callable[[Path], None]) -> str:
        folder = tmp_path / "broken"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(tiny_causal, folder)
        change(folder)
        code, _, err = run(*grid, "--model", folder)
        assert code == 2 and err.count("\n") == 1
        return err

    assert "no tokenizer" in with_model(lambda f: (f / "tokenizer.json").unlink())
    assert "no *.safetensors" in with_model(lambda f: (f / "model.safetensors").unlink())
    assert "config.json is unreadable" in with_model(lambda f: (f / "config.json").write_text("{"))
    assert "say which with --as causal or --as encoder" in with_model(
        lambda f: (f / "config.json").write_text('{"architectures": ["T5Model"]}')
    )


def test_lwf_on_an_encoder_is_refused_before_anything_starts(
    run: Run, grid: list[object], tiny_encoder: Path, tmp_path: Path
) -> None:
    code, _, err = run(*grid, "--methods", "lwf", "--model", tiny_encoder)
    assert code == 2
    assert "cannot generate" in err and "Choose a causal model" in err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/nowhere"])
def test_a_folder_that_cannot_be_written(
    run: Run, grid: list[object], tmp_path: Path, place: str
) -> None:
    (tmp_path / "file").write_text("mine")
    code, _, err = run(*grid, "--out", tmp_path / place)
    assert code == 2
    assert "cannot write" in err
    assert (tmp_path / "file").read_text() == "mine"


def test_tables_of_nothing(run: Run, tmp_path: Path) -> None:
    assert run("table", tmp_path / "nowhere")[0] == 2
    assert run("table", tmp_path)[0] == 2
    assert "holds no results" in run("table", tmp_path)[2]


def test_the_suite_version_is_the_packages() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == SUITE_VERSION
