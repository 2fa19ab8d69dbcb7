"""What a plan says of memory, against what is then allocated."""

from __future__ import annotations

from pathlib import Path

import pytest
import transformers as hf

from bench.network.outline import Peak
from bench.planning.plugins import load_builtin
from bench.running.footprint import parts_of
from bench.selfcheck.world import World, only_cell, plan_for, stage_for, write_text
from bench.training.loop import train
from bench.training.method import METHODS

load_builtin()


def widened(tiny: Path, folder: Path, hidden: int, layers: int) -> Path:
    """A model whose weights outweigh what a short batch keeps."""
    config = hf.AutoConfig.from_pretrained(tiny)
    config.hidden_size, config.intermediate_size = hidden, 3 * hidden
    config.num_hidden_layers, config.head_dim = layers, 64
    config.num_attention_heads = config.num_key_value_heads = hidden // 64
    hf.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    hf.AutoTokenizer.from_pretrained(tiny).save_pretrained(folder)
    return folder


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
    parts = {part.at: part for part in parts_of(only_cell(plan), plan, on_gpu=False)}
    said = max(part.device - part.process for name, part in parts.items() if name != "score")
    stage.method.finish = lambda run: None  # type: ignore[method-assign]  # which makes what is scored
    there = parts["train"].weights + parts["train"].theta0
    with Peak() as peak:
        train(stage.run, stage.method, None)
    assert there + peak.most == pytest.approx(said, rel=0.15)


def test_beside_a_gpu_the_host_has_what_the_gpu_has_not(world: World) -> None:
    plan = world.plan("ewc", "causal", "ewc.fisher=retention")
    here, there = (parts_of(only_cell(plan), plan, on_gpu) for on_gpu in (False, True))
    assert [part.theta0 for part in here] == [here[0].weights] * 3
    assert [part.theta0 / part.weights for part in there] == [1, 1, 0]  # train, score, prepare
    assert all(part.host == 0 < part.process for part in here)
    assert all(part.process == 0 and part.host > 2 * part.weights for part in there)
    narrow = world.plan("ewc", "causal", "ewc.fisher=retention", "train.importance=bfloat16")
    part, *_ = parts_of(only_cell(narrow), narrow, on_gpu=True)
    assert part.importance == there[0].importance / 2
