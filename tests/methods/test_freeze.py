"""Freezing: which weights stay, bit for bit, which move, and counts that are too large."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench.core.errors import CellError, RefusedError
from bench.running.session import CellSession
from bench.selfcheck.world import plan_for, stage_for, trained
from bench.training.loop import train
from methods.freeze import Freeze, FreezeConfig


def fixed(stage: CellSession) -> set[str]:
    """The pretrained weights that are as they were."""
    pairs = stage.loaded.pretrained()
    return {name for name, p in pairs if torch.equal(p, stage.loaded.base[name])}


def starting(stage: CellSession, *prefixes: str) -> set[str]:
    return {name for name, _ in stage.run.net.named_parameters() if name.startswith(prefixes)}


@pytest.mark.parametrize("setting", ["blocks=1", "share=0.5", "share=0.6"])
def test_embeddings_and_bottom_blocks_stay(
    setting: str, tiny_encoder: Path, tiny_data: Path, tmp_path: Path
) -> None:
    plan = plan_for(["freeze"], ["cola"], tiny_encoder, tiny_data, f"freeze.{setting}")
    stage = trained(plan, tmp_path)
    assert fixed(stage) == starting(stage, "bert.embeddings.", "bert.encoder.layer.0.")


def test_all_blocks_can_be_frozen(tiny_causal: Path, tiny_data: Path, tmp_path: Path) -> None:
    """Tied embeddings are frozen as the output layer, too: the final norm alone learns."""
    plan = plan_for(["freeze"], ["cola"], tiny_causal, tiny_data, "freeze.blocks=2")
    stage = trained(plan, tmp_path)
    assert fixed(stage) == starting(stage, "model.embed_tokens.", "model.layers.")
    assert stage.loaded.base.keys() - fixed(stage) == {"model.norm.weight"}


def test_what_is_frozen_takes_no_memory_and_is_free_afterwards(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    stage = stage_for(plan_for(["freeze"], ["cola"], tiny_causal, tiny_data), tmp_path)
    table = next(p for n, p in stage.run.net.named_parameters() if "embed" in n)
    table.requires_grad_(False)  # as some models have it from the start
    train(stage.run, stage.method, None)
    state = stage.run.optimizer.optimizer.state
    moving = [p for n, p in stage.loaded.pretrained() if n not in fixed(stage)]
    assert set(state) == set(moving)
    free = {n for n, p in stage.run.net.named_parameters() if p.requires_grad}
    assert free == stage.loaded.base.keys() - {"model.embed_tokens.weight"}


def test_more_blocks_than_there_are(tiny_causal: Path, tiny_data: Path, tmp_path: Path) -> None:
    message = "freeze.blocks = 3, and the model has 2 blocks"
    with pytest.raises(RefusedError, match=message):
        plan_for(["freeze"], ["cola"], tiny_causal, tiny_data, "freeze.blocks=3")
    stage = stage_for(plan_for(["freeze"], ["cola"], tiny_causal, tiny_data), tmp_path)
    with pytest.raises(CellError, match=message):
        Freeze(FreezeConfig(blocks=3)).optimizer(stage.run)
