"""What has no room is refused with a line that says what would help, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.core.errors import RefusedError
from bench.planning.options import read
from bench.planning.plan import Plan
from bench.running.footprint import footprint
from bench.running.job import planned
from bench.running.room import Place, beyond, card
from bench.selfcheck.world import World, only_cell
from tests.conftest import Run


def refused(plan: Plan, size: float) -> list[str]:
    return list(beyond(plan, Place("a small card", True, int(size))).values())


def test_what_has_no_room_is_told_what_would_help(world: World) -> None:
    plan = world.plan("recadam", "encoder", "train.batch_size=40", "train.max_eval=2")
    cell = only_cell(plan)
    full, less, cut = (
        footprint(replace(cell, training=replace(cell.training, **changes)), plan, True).device
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
    assert beyond(plan, card(80.0)) == {} == beyond(plan, Place("unknown", True, None))


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
    assert "memory of a GPU, and of its host by arithmetic, in " in " ".join(out.split())
    assert "no room: recadam on huge (cola): it takes" in out
    code, _, err = run(*words)
    assert (code, "no *.safetensors" in err) == (2, True)
    code, _, err = run(*words, "--card", "8")
    assert (code, err) == (2, "run_bench.py: --card is for --dry-run.\n")
    code, _, err = run(*words, "--dry-run", "--card", "much")
    assert code == 2 and "'much' is no number of GiB above 0" in err
