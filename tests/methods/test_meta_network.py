"""Known before the weights are: names, shapes, and what a check complains of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from bench.cells.cell import ModelInfo
from bench.core.errors import CellError, RefusedError
from bench.selfcheck.world import World
from methods.shared import meta_network


def model_of(world: World, kind: str) -> ModelInfo:
    return world.plan("finetune", kind).spec.models[0]


@pytest.mark.parametrize("kind", ["causal", "encoder"])
def test_the_network_has_the_names_and_shapes_and_no_weights(kind: str, world: World) -> None:
    from bench.network.loading import load

    def check(net: nn.Module) -> None:
        seen.update({name: tuple(p.shape) for name, p in net.named_parameters()})
        assert all(p.is_meta for p in net.parameters())
        raise CellError("seen")

    seen: dict[str, tuple[int, ...]] = {}
    model = model_of(world, kind)
    assert meta_network.complaint(model, check) == "seen"
    assert meta_network.complaint(model, lambda net: "fine") is None
    assert seen == {n: tuple(p.shape) for n, p in load(model, 2, 0).net.named_parameters()}


def test_what_cannot_be_built_is_no_complaint(world: World, tmp_path: Path) -> None:
    def check(net: Any) -> None:
        raise CellError("never asked")

    empty = replace(model_of(world, "causal"), source=str(tmp_path))
    assert meta_network.complaint(empty, check) is None


@pytest.mark.parametrize("method", ["freeze", "llrd"])
def test_a_model_without_blocks_is_refused_by_what_needs_them(
    method: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meta_network, "_network", lambda model: nn.Sequential(nn.Linear(2, 2)))
    with pytest.raises(RefusedError, match="Sequential has no list of blocks of one class"):
        world.plan(method, "causal")
    world.plan("l2sp", "causal")
