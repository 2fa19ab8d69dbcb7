"""A preset from its name to boards: what is said before, what is left out, and exit codes
(bench.cli.jobs, bench.render.presets); and published figures beside it (bench.cli.reproducing)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.planning import presets
from tests.bench.cli.conftest import TINY
from tests.conftest import Run


@pytest.fixture
def mine(tmp_path: Path, tiny_causal: Path, tiny_data: Path) -> Path:
    """A preset of two parts, of which one task is not there."""
    path = tmp_path / "mine.toml"
    path.write_text(
        f'about = "two parts"\nnotes = ["of mine"]\nmodel = "{tiny_causal}"\ndata = "{tiny_data}"\n'
        f'methods = "l2sp"\nseeds = 1\nbatch_size = 8\nout = "{tmp_path / "run"}"\n'
        "[train]\nretention_tokens = 128\nforget_rows = 8\n"
        "[l2sp]\nalpha = [0.1, 0.2]\n"
        '[[part]]\ntasks = "cola"\nsteps = 3\n[[part]]\ntasks = ["rte", "mrpc"]\nsteps = 2\n'
    )
    return path


def test_a_preset_of_ones_own_from_plan_to_board(run: Run, mine: Path, tmp_path: Path) -> None:
    code, out, _ = run("--preset", mine, "--dry-run", "--set", "l2sp.beta=0.5")
    assert code == 0 and not (tmp_path / "run").exists()
    head = out.partition("\nplan:")[0]
    assert "preset mine: two parts\n  costs      9 cells, 21 steps, 2 parts\n" in head
    assert "  changed    l2sp.beta default -> 0.5\n" in head and "  note       of mine\n" in head
    assert "mrpc is not in" in head and "msr_paraphrase_train.txt" in " ".join(head.split())
    assert out.count("\nplan: ") == 2
    code, out, _ = run("--preset", mine)
    assert code == 1, "not all of it could run"
    assert "l2sp[alpha=0.2]" in out and "rte: accuracy" in out and "cola: Matthews" in out
    code, out, _ = run("--preset", mine, "--tasks", "cola")
    assert code == 0 and "3 cells, 3 done, 0 to run" in out
    code, out, _ = run("explain", "x cola x", "--preset", mine)
    assert code == 0 and len(re.findall(": done", out)) == 3


def test_nothing_of_it_is_here(run: Run, mine: Path, tmp_path: Path) -> None:
    away = tmp_path / "nowhere"
    code, out, err = run("--preset", mine, "--data", away)
    assert code == 2 and "nothing of mine can run here: cola is not in" in err
    code, out, _ = run("--preset", mine, "--data", away, "--dry-run")
    assert code == 0 and "costs      9 cells, 21 steps" in out and "so nothing of cola" in out


def test_a_dry_run_needs_no_network(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    code, out, _ = run("--preset", "recadam-glue-dev", "--dry-run")
    assert code == 0 and "840 cells, 22,559,775 steps, 8 parts" in out
    code, out, _ = run("--preset", "lwf-translation", "--dry-run")
    assert code == 0 and "6 cells, unknown steps\n" in out
    code, _, err = run("--preset", "recadam-glue-dev")
    assert code == 2 and "google-bert/bert-base-uncased" in err and "--model FOLDER" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--preset", "recadam"], "unknown preset 'recadam'. Did you mean 'recadam-"),
        (["--preset", "micro-sequence", "--config", "x"], "give one of them"),
        (["--preset", "micro-sequence", "--seeds", "no"], "seeds = 'no' is not a whole number"),
        (["--preset", "micro-sequence", "--methods", "ecw"], "unknown method 'ecw'"),
        (
            ["--preset", "micro-lwf-qa", "--forget", "cola"],
            "unknown part of micro-lwf-qa: --forget",
        ),
    ],
)
def test_mistakes(run: Run, words: list[str], said: str) -> None:
    code, _, err = run(*words, "--dry-run")
    assert code == 2 and said in err and err.count("\n") == 1


def test_the_list_has_every_preset_with_its_cost(run: Run) -> None:
    code, out, _ = run("list", "presets")
    assert code == 0 and max(map(len, out.splitlines())) <= 100
    line = r"^{} +[\d,]+ +([\d,]+|unknown)  \S"
    assert all(re.search(line.format(name), out, re.M) for name in presets.names())


TWINS = [name for name in presets.names() if name.startswith("micro-")]
SHORT = ["--seeds", 1, "--steps", 2, "--max-eval", 8, "--max-train", 16]


@pytest.mark.slow
@pytest.mark.parametrize("name", TWINS)
def test_a_twin_in_small_runs_from_preset_to_verdict(run: Run, name: str, tmp_path: Path) -> None:
    words = ["recadam.k=0.2", "recadam.gamma=5000"] if "recadam" in name else []
    if "lwf" in name:
        words += ["lwf.samples=4", "lwf.keep=all", "lwf.fisher_rows=4"]
        words += ["lwf.max_new_tokens=4"]
    fewer = ["--forget", "dental,mixed"] if name == "micro-lwf-qa" else []
    given = [*SHORT, *fewer, "--out", tmp_path, "--set", *TINY, *words]
    code, out, err = run("--preset", name, *given)
    assert code == 0, out + err
    assert "generated" in out
    if presets.load(name).published:
        code, out, _ = run("reproduce", name, tmp_path)
        assert code == 0 and ("the rows here are generated" in out or "ablation" in name)


def test_published_figures_are_shown_before_anything_is_run(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = run("reproduce", "recadam-init")
    assert code == 0 and "nothing of it was measured yet" in out and "62.4" in out


def test_from_a_preset_to_its_verdict(run: Run, mine: Path, tmp_path: Path) -> None:
    text = mine.read_text(encoding="utf-8")
    mine.write_text(f'published = "recadam-init"\n{text}', encoding="utf-8")
    assert run("--preset", mine, "--tasks", "rte", "--set", "l2sp.alpha=0.1")[0] == 0
    code, out, _ = run("reproduce", mine, tmp_path / "run")
    assert code == 0
    assert re.search(r"^rte +71\.1 +.* not comparable \(1", out, re.M)
    assert "other model: tiny-causal, not bert-base" in " ".join(out.split())
    code, out, _ = run("reproduce", mine, tmp_path / "run", "--format", "json")
    assert code == 0 and out.startswith("[\n {")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["recadam-ini"], "unknown preset 'recadam-ini'. Did you mean 'recadam-init'"),
        (["recadam-curves"], "names no published figures: of its source none could be read"),
        (["recadam-init", "nowhere"], "nowhere"),
    ],
)
def test_mistakes_of_reproduce(run: Run, words: list[str], said: str) -> None:
    code, _, err = run("reproduce", *words)
    assert code == 2 and said in err and err.count("\n") == 1


def test_published_figures_that_there_are_not(run: Run, mine: Path) -> None:
    text = mine.read_text(encoding="utf-8")
    mine.write_text(f'published = "recadam-inti"\n{text}', encoding="utf-8")
    code, _, err = run("reproduce", mine)
    assert code == 2 and "unknown published figures 'recadam-inti'. Did you mean" in err
