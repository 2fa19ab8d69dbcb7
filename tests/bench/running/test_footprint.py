"""What a plan says of memory, against what is then allocated."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.core.memory import Place, memory_mib
from bench.network.outline import Peak
from bench.planning.plugins import load_builtin
from bench.running.footprint import footprint, parts_of
from bench.selfcheck.world import World, only_cell, plan_for, stage_for, write_text
from bench.training.loop import train
from bench.training.method import METHODS
from tests.helpers.worlds import widened

load_builtin()
ROOT = Path(__file__).parents[3]
MACHINE, CARD = Place("this machine", False, None), Place("a card", True, None)


_SMALL = {
    **{name: [f"{name}.batch_size=1"] for name in ("ga", "lwf", "multitask", "npo")},
    "ewc": ["ewc.fisher=retention", "ewc.blocks=16"],
    "mas": ["mas.text=retention", "mas.blocks=16"],
    "replay": ["replay.source=retention"],
}
"""Settings with which weights outweigh activations, or with which these are known."""


@pytest.fixture(scope="module")
def wide(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return widened(world.models["causal"], tmp_path_factory.mktemp("wide"), 256, 2)


@pytest.mark.parametrize("held", ["float32", "bfloat16"])
@pytest.mark.parametrize("method", METHODS.names())
def test_a_method_holds_what_it_says(
    method: str, held: str, wide: Path, world: World, tmp_path: Path
) -> None:
    """Tensors that a training allocates at most at one time, every byte of them counted."""
    words = [
        "train.batch_size=1",
        "train.steps=3",
        f"train.weights={held}",
        *_SMALL.get(method, ()),
    ]
    text = write_text(tmp_path / "text", sentences=1600)  # with the blocks that ewc and mas want
    plan = plan_for([method], ["cola"], wide, world.data, *words, retention=str(text))
    stage = stage_for(plan, tmp_path)
    parts = {part.at: part for part in parts_of(only_cell(plan), plan, MACHINE)}
    said = max(part.device - part.process for name, part in parts.items() if name != "score")
    stage.method.finish = lambda run: None  # type: ignore[method-assign]  # which makes what is scored
    # a teacher is loaded in other threads, where nobody counts
    there = parts["train"].weights + parts["train"].theta0 + parts["train"].teacher
    with Peak() as peak:
        train(stage.run, stage.method, None)
    assert there + peak.most == pytest.approx(said, rel=0.15)


_CELL = """\
import sys
from pathlib import Path
from bench.cells.store import Store
from bench.running.executor import run_in_process
from bench.selfcheck.world import plan_for

folder, method, model, data, text, *words = sys.argv[1:]
plan = plan_for([method], ["cola"], model, data, *words, retention=text)
run_in_process(plan, list(plan.spec.cells()), Store(Path(folder)), Path(folder), quiet=True)
(result,) = Store(Path(folder)).all()
print(result["costs"]["peak_memory_mib"])
"""


@pytest.mark.skipif(memory_mib() is None, reason="this system does not tell its memory")
@pytest.mark.parametrize(
    ("method", "hidden", "layers"),
    [
        ("finetune", 256, 6),
        pytest.param("finetune", 512, 10, marks=pytest.mark.slow),
        pytest.param("lora", 512, 16, marks=pytest.mark.slow),
    ],
)
def test_a_whole_process_takes_what_is_said(
    method: str, hidden: int, layers: int, world: World, tmp_path: Path
) -> None:
    """The peak that a cell's result has, of a process that plans nothing by arithmetic."""
    model = widened(world.models["causal"], tmp_path / "wide", hidden, layers)
    words = ["train.batch_size=32", *(["lora.r=16"] if method == "lora" else [])]
    plan = plan_for([method], ["cola"], model, world.data, *words, retention=str(world.text))
    said = footprint(only_cell(plan), plan, MACHINE).device / 2**20
    command = [sys.executable, "-c", _CELL, tmp_path / "run", method, model, world.data, world.text]
    run = subprocess.run(
        list(map(str, [*command, *words])), capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert float(run.stdout.splitlines()[-1]) == pytest.approx(said, rel=0.15)


def test_beside_a_gpu_the_host_has_what_the_gpu_has_not(world: World) -> None:
    plan = world.plan("ewc", "causal", "ewc.fisher=retention")
    here, there = (parts_of(only_cell(plan), plan, place) for place in (MACHINE, CARD))
    assert [part.theta0 for part in here] == [here[0].weights] * 3
    assert [part.theta0 / part.weights for part in there] == [1, 1, 0]  # train, score, prepare
    assert all(part.host == 0 < part.process for part in here)
    assert all(part.process == 0 and part.host > 2 * part.weights for part in there)
    narrow = world.plan("ewc", "causal", "ewc.fisher=retention", "train.importance=bfloat16")
    part, *_ = parts_of(only_cell(narrow), narrow, CARD)
    assert part.importance == there[0].importance / 2
