"""The suite in Python: names or instances in, tables out, and the terminal's own numbers.

So bench.render.html is tested here.
"""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench import BenchError, Card, Files, Method, Task, compare, load, setting
from bench.api import Runs
from bench.cli.main import main
from bench.planning.plugins import load_builtin
from bench.rows.task import TASKS
from methods.l2sp import L2SP

TRAIN = {"retention_tokens": 128, "forget_rows": 8, "batch_size": 8}


@pytest.fixture(scope="module")
def small(tiny_causal: Path, tiny_data: Path) -> dict[str, Any]:
    """The options of a run that takes a second."""
    return {
        "model": tiny_causal, "data": tiny_data, "steps": 3, "max_eval": 12,
        "settings": {"train": TRAIN}, "progress": False,
    }  # fmt: skip


@pytest.fixture(scope="module")
def runs(small: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Two methods, one of them a stack, on two tasks and a sequence, twice."""
    folder = tmp_path_factory.mktemp("runs")
    return compare(["l2sp", "bss+l2sp"], ["cola", "rte", "cola>rte"], seeds=2, out=folder, **small)


def test_a_row_per_cell_with_figures_and_names_of_the_right_types(runs: Runs) -> None:
    frame = runs.frame()
    assert len(frame) == 3 * 3 * 2
    assert not runs.failed
    assert set(frame.columns) >= {
        "method", "variant", "task", "seed", "status", "gain", "retention", "forgotten", "drift",
        "seconds", "after.accuracy", "after.matthews_correlation", "settings.alpha",
        "settings.bss.k", "settings.l2sp.alpha", "train.lr",
    }  # fmt: skip
    for name in ("model", "data", "method", "variant", "task", "status", "metric"):
        assert isinstance(frame[name].dtype, pd.CategoricalDtype), name
    figures = [n for n in frame if n.startswith(("before", "after")) or n in ("gain", "drift")]
    assert {str(frame[name].dtype) for name in figures} == {"float64"}
    assert frame.loc[frame.task == "cola", "after.accuracy"].isna().all()
    assert frame.loc[frame.task == "cola", "after.matthews_correlation"].notna().all()
    assert frame.loc[frame.method == "finetune", "settings.alpha"].isna().all()


def test_the_frame_says_what_the_cells_files_say(runs: Runs) -> None:
    frame = runs.frame().set_index(["method", "task", "seed"])
    for path in runs.folder.glob("cells/*.json"):
        if path.name.endswith(".rows.json"):
            continue
        cell = json.loads(path.read_text())
        row = frame.loc[(cell["cell"]["method"], cell["cell"]["task"], cell["cell"]["seed"])]
        primary = cell["scores"]["primary"]
        assert row["after"] == cell["scores"]["after"][primary]
        assert row["drift"] == cell["drift"]
        assert row["retention"] == cell["retention"]["after"] - cell["retention"]["before"]
        assert row["seconds"] == cell["costs"]["method"]


def test_gains_are_the_boards(runs: Runs) -> None:
    frame = runs.frame()
    assert frame.loc[frame.method == "finetune", "gain"].isna().all()
    means = frame.groupby(["task", "variant"], observed=True)["gain"].mean()
    board = runs.board().frame()
    shown = board[board.task != "average"].set_index(["task", "method"])["gain"]
    assert shown.notna().sum() == 6
    for key, gain in shown.dropna().items():
        assert means[key] == pytest.approx(gain, abs=1e-15)


def test_a_gain_is_over_the_cell_of_its_own_recipe(small: dict[str, Any], tmp_path: Path) -> None:
    given = {**small, "seeds": 1, "out": tmp_path}
    compare(["l2sp"], ["rte"], lr=1e-2, **given)
    compare(["l2sp"], ["rte"], lr=1e-4, **given)
    frame = load(tmp_path).frame()
    assert len(frame) == 4
    for _, pair in frame.groupby("train.lr"):
        after = pair.set_index("method")["after"]
        gain = pair.set_index("method")["gain"]
        assert gain["l2sp"] == after["l2sp"] - after["finetune"]


def test_a_board_is_the_terminals_and_its_html_is_escaped(
    runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["table", str(runs.folder)]) == 0
    board = runs.board()
    assert str(board) in capsys.readouterr().out
    html = board._repr_html_()
    assert "<h3>tiny-causal on tiny-data</h3>" in html
    assert "<td>bss+l2sp</td>" in html
    assert "cola&gt;rte" in html and "cola>rte" not in html


def test_curves_and_predictions_of_every_cell(runs: Runs) -> None:
    curves, answers = runs.curves(), runs.predictions()
    last = curves[curves.task == "cola"].groupby(["variant", "seed"], observed=True)["step"].max()
    assert (last == 3).all() and len(last) == 6
    assert str(curves["loss"].dtype) == "float64"
    one = answers[(answers.task == "rte") & (answers.variant == "l2sp") & (answers.seed == 0)]
    assert len(one) == 12
    frame = runs.frame()
    row = frame[(frame.task == "rte") & (frame.variant == "l2sp") & (frame.seed == 0)]
    assert (one["after"] == one["gold"]).mean() == row["after.accuracy"].item()


def test_loading_gives_what_comparing_gave(runs: Runs) -> None:
    assert load(runs.folder).frame().equals(runs.frame())
    assert repr(runs) == f"<Runs: 18 cells, in {runs.folder}>"


def test_a_second_call_runs_nothing_and_methods_of_two_settings_stand_side_by_side(
    runs: Runs, small: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    weak, strong = (L2SP(L2SP.Config(alpha=alpha)) for alpha in (0.01, 2.0))
    again = compare([weak, strong], "cola", seeds=2, out=runs.folder, **{**small, "progress": True})
    assert capfd.readouterr().err.count("x seed") == 4  # the start and the end of two cells
    assert set(again.frame()["settings.alpha"].dropna()) == {0.01, 2.0}
    assert set(again.frame()["variant"]) == {"finetune", "l2sp", "l2sp[alpha=2.0]"}


@dataclasses.dataclass(frozen=True)
class _Settings:
    at: int = setting(0, "the seed that fails", low=0)


class Fails(Method):
    """Fails at one seed."""

    name = "fails_at"
    card = Card("t", "p", "e", "d", "none")
    Config = _Settings

    def after_step(self, run: Any) -> None:
        if run.cell.seed == self.config.at:
            raise ValueError("this seed is bad")


class Taken(Fails):
    """Has the name of another."""

    name = "lwf"


class Nameless(Fails):
    """Has no name of its own."""


@pytest.mark.usefixtures("registry_of_this_test")
def test_a_cell_that_fails_raises_nothing_and_is_told(
    small: dict[str, Any], tmp_path: Path
) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    found = compare([Fails(_Settings(at=1))], ["cola"], seeds=2, out=tmp_path, **small)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    (failure,) = found.failed
    assert (failure.method, failure.seed, failure.status) == ("fails_at[at=1]", 1, "failed")
    assert failure.error.startswith("ValueError: this seed is bad")
    assert failure.log is not None and "test_api.py" in failure.log.read_text()
    frame = found.frame().set_index(["method", "seed"])
    assert frame.loc[("fails_at", 1), "status"] == "failed"
    assert frame.loc[("fails_at", 1), ["after", "gain", "drift"]].isna().all()
    assert frame.loc[("fails_at", 0), ["after", "gain", "drift"]].notna().all()


@pytest.mark.usefixtures("registry_of_this_test")
@pytest.mark.parametrize(
    ("methods", "options", "message"),
    [
        (["lfw"], {}, "unknown method 'lfw'. Did you mean 'lwf'?"),
        (["lwf"], {"sedes": 2}, "unknown option 'sedes'. Did you mean 'seeds'?"),
        (["lwf"], {"settings": {"lwf": 3}}, "settings must be {METHOD: {SETTING: VALUE}}"),
        ([3], {}, "methods must be a list of names, not [3]."),
        ([L2SP(L2SP.Config(alpha=-1.0))], {}, "l2sp.alpha = -1.0 is out of range"),
        ([L2SP(3)], {}, "l2sp takes a L2SPConfig, not 3."),
        ([Nameless(_Settings())], {}, "Nameless is no registered method: put @register_method"),
        ([Taken(_Settings())], {}, "method 'lwf' is defined twice: in methods.lwf.method and in "),
        ([], {}, "name at least one method and one task"),
    ],
)
def test_a_mistake_is_a_bench_error(
    methods: list[Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(BenchError) as caught:
        compare(methods, ["cola"], **options)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("registry_of_this_test")
def test_a_task_that_python_made(small: dict[str, Any], tmp_path: Path) -> None:
    for split in ("train", "dev"):
        text = 'body,class\n"a cat, a dog",ham\nthe king,spam\n'
        (tmp_path / f"{split}.csv").write_text(text)
    spam = Task(
        name="spam", kind="classification", columns=("text",), labels=("ham", "spam"),
        words=("no", "yes"), prompt="{text} spam?", metrics=("accuracy",),
        files=Files(
            paths={split: tmp_path / f"{split}.csv" for split in ("train", "dev")},
            columns={"text": "body", "label": "class"},
            label_spellings=("ham", "spam"),
        ),
    )  # fmt: skip
    given = {**small, "seeds": 1, "out": tmp_path / "run"}
    given["settings"] = {"train": {**TRAIN, "batch_size": 2}}
    found = compare("finetune", spam, forget=["cola"], **given)
    assert set(found.frame()["task"]) == {"spam"}
    changed = dataclasses.replace(spam, prompt="{text} is spam:")  # a notebook's cell, run again
    assert compare("finetune", [changed], forget=["cola"], **given).results != found.results
    load_builtin()
    other = dataclasses.replace(TASKS.get("cola"), prompt="{sentence}?")
    with pytest.raises(BenchError, match=r"^task 'cola' is defined twice: in tasks.glue and in "):
        compare("finetune", other, **given)


def test_a_folder_without_results(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="holds no results"):
        load(tmp_path)
    with pytest.raises(BenchError, match="is not a folder"):
        load(tmp_path / "nowhere")


def test_importing_is_quick_and_results_stay_under_the_current_folder(
    small: dict[str, Any], tmp_path: Path
) -> None:
    script = (
        "import sys\n"
        "from bench import compare, load\n"
        "heavy = {'torch', 'transformers', 'datasets', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        f"runs = compare('finetune', 'cola', seeds=1, model={str(small['model'])!r}, "
        f"data={str(small['data'])!r}, steps=1, max_eval=4)\n"
        "print(runs.folder)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "results/local/tiny-causal\n"
    assert any((tmp_path / "results" / "local" / "tiny-causal" / "cells").glob("finetune-*"))
