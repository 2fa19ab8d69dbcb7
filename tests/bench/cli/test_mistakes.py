"""What a person gets wrong, in words or in a file: one line, exit code 2, nothing written."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Run


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


MISTAKES: list[tuple[list[str], str]] = [
    (["--methods", "lfw"], "unknown method 'lfw'. Did you mean 'lwf'? Known:"),
    (["--tasks", "colla"], "unknown task 'colla'. Did you mean 'cola'? Known:"),
    (["--seeds", "0"], "seeds = 0 is out of range: it must be >= 1 and <= 10000."),
    (["--seeds", "1000000000"], "seeds = 1000000000 is out of range"),
    (["--path", "1000000"], "path = 1000000 is out of range: it must be >= 2 and <= 100."),
    (["--tune", "1000000000"], "tune = 1000000000 is out of range"),
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
    (["--data", "x" * 300], "File name too long."),
    (["--methods", ","], "name at least one method and one task"),
]


@pytest.mark.parametrize(
    ("words", "message"), MISTAKES, ids=[" ".join(w)[:40] for w, _ in MISTAKES]
)
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
