"""What has no room is refused with a line that says what would help, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.core.errors import RefusedError
from bench.core.memory import Place
from bench.planning.options import read
from bench.planning.plan import Plan
from bench.running.footprint import footprint
from bench.running.job import planned
from bench.running.room import beyond, here
from bench.selfcheck.world import World, only_cell
from tests.conftest import Run

CARD = Place("a card of no known size", True, None)


def refused(plan: Plan, size: float) -> list[str]:
    return list(beyond(plan, Place("a small card", True, int(size))).values())


def test_what_has_no_room_is_told_what_would_help(world: World) -> None:
    plan = world.plan("recadam", "encoder", "train.batch_size=40", "train.max_eval=2")
    cell = only_cell(plan)
    full, less, cut = (
        footprint(replace(cell, training=replace(cell.training, **changes)), plan, CARD).device
        for changes in ({}, {"checkpointing": True}, {"micro_batch": 1})
    )
    assert cut < less < full
    assert refused(plan, full + 1) == []
    (text,) = refused(plan, full)
    assert text.startswith("it takes 0.0 GiB (weights 0.0, gradients 0.0, moments 0.0, θ0 0.0")
    assert text.endswith("and a small card has 0.0; train.checkpointing=true would fit")
    (text,) = refused(plan, less)
    assert text.endswith("train.micro_batch=1 would fit")
    (text,) = refused(plan, 1000)
    assert text.endswith("has 0.0")
    assert beyond(plan, Place("a card", True, 80 << 30)) == {} == beyond(plan, CARD)


def test_a_plan_refuses_it(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = {"methods": ["l2sp"], "tasks": ["cola"], "model": [str(world.models["causal"])]}
    options = read({**asked, "data": str(world.data), "out": tmp_path, "jobs": 1})
    monkeypatch.setattr("bench.running.job.here", lambda: Place("this machine", False, 1 << 20))
    with pytest.raises(RefusedError, match=r"^nothing is left to run.* finetune, l2sp on .*takes"):
        planned(options)
    assert planned(options, dry=True).todo, "what would it take, is asked"


def test_a_model_without_weights_is_planned_for_a_card(
    run: Run, world: World, tmp_path: Path
) -> None:
    folder = tmp_path / "huge"
    folder.mkdir()
    for path in world.models["causal"].iterdir():
        if path.suffix != ".safetensors":
            (folder / path.name).write_bytes(path.read_bytes())
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(
        config.replace('"hidden_size": 32', '"hidden_size": 4096').replace(
            '"intermediate_size": 64', '"intermediate_size": 16384'
        )
    )
    words = ["--methods", "recadam", "--tasks", "cola", "--model", folder, "--seeds", "1"]
    words += ["--data", world.data, "--no-reference"]
    code, out, _ = run(*words, "--dry-run", "--card", "6")
    assert code == 0
    assert "memory of a GPU, and of its host, by arithmetic, in " in " ".join(out.split())
    assert "no room: recadam on huge (cola): it takes" in out
    code, out, _ = run(*words, "--dry-run", "--card", "4x3", "--methods", "recadam,mixout")
    said = " ".join(out.split())
    assert code == 0 and "memory of each of 4 processes, a GPU's and the host's, by" in said
    assert "and each of 4 cards of 3 GiB has 3.0" in said and "method while weights" in said
    assert "refused mixout on huge (cola): FSDP: mixout puts other weights in the place" in said
    code, _, err = run(*words, "--dry-run", "--card", "4x3", "--theta0", "disk")
    assert (code, "--theta0 disk: not with --use_fsdp" in err) == (2, True)
    code, _, err = run(*words)
    assert (code, "no *.safetensors" in err) == (2, True)
    code, _, err = run(*words, "--card", "8")
    assert (code, err) == (2, "run_bench.py: --card is for --dry-run.\n")
    for word in ("much", "8x", "0x80", "x80", "8x-1", "2.5x80"):
        code, _, err = run(*words, "--dry-run", f"--card={word}")
        assert (code, err.count("\n")) == (2, 1)
        assert f"{word!r} is no number of GiB above 0, nor of cards and their GiB (8x80)" in err


def test_processes_of_a_machine_share_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    alone = here()
    assert alone.room and alone == Place("this machine", False, alone.room, 1)
    for name, value in (("WORLD_SIZE", "4"), ("LOCAL_WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    half = alone.room // 2
    assert here() == Place("each of 2 processes here", False, half, 1)
    monkeypatch.setenv("FORGETTING_BENCH_SHARDS", "true")
    assert here() == Place("each of 2 processes here", False, half, 4)
