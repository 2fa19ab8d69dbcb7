"""What does not fit: refused before anything starts, shown with its reason, and the rest runs.

What bench.planning.plan leaves out of a grid, it says; also what accelerate's launcher
(bench.core.launcher) asks for and a method cannot.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.cells.grid import RefusalKey
from bench.cli.main import main
from bench.planning.compatibility import in_words
from bench.selfcheck.world import World

Run = Callable[..., tuple[int, str, str]]
SMALL = ["train.retention_tokens=128", "train.forget_rows=8"]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """(exit code, standard output as one line, standard error) of a command."""

    def call(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, " ".join(out.split()), err

    return call


@pytest.fixture
def grid(world: World, tmp_path: Path) -> list[object]:
    return [
        "--data", world.data, "--seeds", 1, "--out", tmp_path / "run", "--steps", 2,
        "--batch-size", 4, "--max-eval", 8, "--model", world.models["causal"], "--set", *SMALL,
    ]  # fmt: skip


def test_a_method_that_needs_another_model(
    run: Run, grid: list[object], world: World, tmp_path: Path
) -> None:
    words = ["--methods", "lwf,recadam", "--tasks", "cola", *grid]
    words += ["--model", world.models["encoder"]]
    code, out, _ = run(*words, "--dry-run")
    assert code == 0
    assert "refused lwf on tiny-encoder (cola): it needs a model that writes text" in out
    assert "= 3 cells, 1 refused, 0 done, 2 to run" in out
    code, out, _ = run(*words)
    assert code == 1
    assert "lwf refused: it needs a model that writes text, and tiny-encoder" in out
    assert "0/1" in out
    code, second, _ = run(*words)
    assert (code, "2 done, 0 to run" in second) == (1, True)
    assert "0/1" in run("table", tmp_path / "run")[1]


def test_a_text_that_is_missing_refuses_only_what_reads_it(run: Run, grid: list[object]) -> None:
    words = ["--methods", "ewc,recadam", "--tasks", "cola", *grid, "ewc.fisher=retention"]
    code, out, _ = run(*words, "--dry-run")
    assert code == 0
    assert "it needs a text: give one with --retention FILE" in out


def test_a_stack_that_clashes(run: Run, grid: list[object], tmp_path: Path) -> None:
    words = ["--methods", "recadam+lwf,recadam", "--tasks", "cola", *grid]
    words += ["lwf.ascent=own"]
    name = "lwf[ascent=own]+recadam"
    reason = "the stack is not defined: lwf takes steps of its own"
    code, out, _ = run(*words, "--dry-run")
    assert code == 0
    assert f"refused {name} on tiny-causal (cola): {reason}" in out
    code, out, _ = run(*words)
    assert code == 1
    assert f"{name} refused: {reason}" in out
    assert "2 done, 0 failed, 1 refused" in run("status", tmp_path / "run")[1]
    code, out, err = run(*words, "--methods", "recadam+lwf")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"nothing is left to run. {name} on tiny-causal" in err
    code, _, err = run(*words, "--methods", "recadam+lwff,recadam")
    assert code == 2 and "Did you mean 'lwf'?" in err


def test_what_cannot_be_sharded(
    run: Run, grid: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORGETTING_BENCH_SHARDS", "false")  # put back after the test
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    monkeypatch.setenv("WORLD_SIZE", "1")
    words = ["--methods", "mixout+l2sp", "--tasks", "cola", *grid]
    reason = (
        "FSDP: mixout puts other weights in the place of the trained ones at every step; run it "
        "with data parallel, without --use_fsdp"
    )
    code, out, err = run(*words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert reason in err and not (tmp_path / "run").exists()
    assert "ACCELERATE_USE_FSDP" not in os.environ
    code, _, err = run("--methods", "recadam", "--tasks", "cola", *grid, "train.compile=true")
    assert code == 2 and "FSDP: train.compile=true has not been made to work" in err
    code, out, _ = run("--methods", "recadam", "--tasks", "cola", *grid, "--dry-run")
    assert code == 0 and "FSDP: weights, gradients, moments, θ0 and F are cut over the" in out
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    code, _, err = run(*words)
    assert (code, err.count("\n")) == (2, 1)
    assert "DeepSpeed is not supported: --use_fsdp cuts weights as well." in err


def test_a_task_that_the_model_cannot_answer(run: Run, grid: list[object]) -> None:
    """Its cells are refused by any method, sequences with it, too, and no average counts it."""
    words = [*grid, "--data", "micro", "--model", "micro-encoder", "--max-train", 32]
    words += ["--methods", "l2sp", "--tasks"]
    tasks = "cola,sst2,gsm8k,cola>gsm8k"
    reason = "gsm8k needs a causal model: micro-encoder is an encoder, which cannot write"
    code, out, _ = run(*words, tasks, "--dry-run")
    assert code == 0
    assert "= 8 cells, 4 refused, 0 done, 4 to run" in out
    assert f"finetune, l2sp on micro-encoder (gsm8k, cola>gsm8k): {reason}" in out
    code, out, _ = run(*words, tasks)
    assert code == 1
    assert f"l2sp refused: {reason}" in out and f"finetune refused: {reason}" in out
    assert "Average of 3 tasks" not in out and "2 of 3 tasks" not in out
    code, out, err = run(*words, "gsm8k")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"nothing is left to run. finetune, l2sp on micro-encoder (gsm8k): {reason}" in err


def test_prompts_with_shots_are_none_of_an_encoder(
    run: Run, grid: list[object], world: World
) -> None:
    models = ",".join(str(world.models[kind]) for kind in ("encoder", "causal"))
    words = ["--methods", "l2sp", "--tasks", "cola", *grid, "--model", models, "--shots", 1]
    code, out, _ = run(*words, "--dry-run")
    assert code == 0
    assert "on tiny-encoder (cola): train.shots 1: tiny-encoder, an encoder, has no prompts" in out
    assert "= 4 cells, 2 refused, 0 done, 2 to run" in out


def test_where_nothing_asked_for_is_left_nothing_runs(
    run: Run, grid: list[object], world: World, tmp_path: Path
) -> None:
    words = ["--methods", "lwf,ewc", "--tasks", "cola", *grid, "--model", world.models["encoder"]]
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert "nothing is left to run. lwf on tiny-encoder (cola): it needs a model that writes" in err
    assert "ewc on tiny-encoder (cola): " in err
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()
    code, out, _ = run(*words, "--dry-run", "--methods", "lwf,finetune")
    assert code == 0, "finetune was asked for, and fits"


def test_a_reason_is_said_once() -> None:
    """Three methods and two tasks; `a` has another reason on one of them."""
    refused = {RefusalKey("m", method, task): "why" for method in "abc" for task in ("x", "y")}
    refused[RefusalKey("m", "a", "y")] = "other"
    assert in_words(refused) == ["a on m (x): why", "a on m (y): other", "b, c on m (x, y): why"]


def test_what_reads_the_rows_of_a_task_that_is_its_own_forgetting_task(
    run: Run, tmp_path: Path
) -> None:
    words = ["--methods", "lwf,ga", "--tasks", "cola", "--forget", "cola", "--seeds", 1]
    code, out, _ = run(*words, "--dry-run", "--out", tmp_path / "run")
    assert code == 0 and "cola is its own forgetting task, by rows set apart for that" in out
    assert "refused ga on micro (cola): it reads rows of the forgetting task, which are" in out
    assert "= 3 cells, 1 refused, 0 done, 2 to run" in out
