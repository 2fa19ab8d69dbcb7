"""What a network without values says it would allocate and compute, against one with values."""

from __future__ import annotations

import pytest
import torch

from bench.network.batches import Encoded
from bench.network.likelihood import TaskModel, Way, answer_scores, example_losses
from bench.network.limits import cached_bytes
from bench.network.loading import load
from bench.network.outline import (
    Peak,
    Shape,
    _batch,
    _Presumed,
    emptied,
    operations,
    scored,
    skeleton,
    trained,
    written,
)
from bench.selfcheck.world import World


def test_the_peak_is_what_lives_at_one_time() -> None:
    before = torch.ones(5000)
    with Peak() as peak:
        before.view(50, 100).t().add_(1)  # a view, and a change in place, of what was there
        first = torch.ones(1000)
        second = first + 1
        view = second[:10]
        del first
        torch.ones(100).add_(1)
    assert (peak.most, peak.now) == (8000, 4000)
    assert view.untyped_storage().nbytes() == 4000


@pytest.mark.parametrize("kind", ["causal", "encoder"])
def test_a_pass_without_values_takes_what_one_with_values_takes(kind: str, world: World) -> None:
    model = world.plan("finetune", kind).spec.models[0]
    shape = Shape(4, 20, 3) if kind == "causal" else Shape(4, 20)
    net = load(model, 2, 0).net
    real = TaskModel(net)
    real.way = Way.PICKED if kind == "causal" else Way.WHOLE
    with Peak() as peak:
        example_losses(real, _batch(_Presumed(net, "float32"), shape)).sum().backward()
    with Peak() as watched, torch.no_grad():
        example_losses(real.eval(), _batch(_Presumed(net, "float32"), shape))
    empty = emptied(skeleton(model))
    found = trained(empty, [shape], "float32", checkpointing=False)
    # the gradient of tied embeddings is added up in place where there are values
    assert found == pytest.approx(peak.most, rel=0.05)
    assert scored(empty, shape) == pytest.approx(watched.most, rel=0.03)
    gradients = sum(p.nbytes for p in empty.parameters())
    again = trained(empty, [shape, shape], "float32", checkpointing=False)
    assert found <= again <= found + gradients  # the second finds the first one's gradients
    # two operations of a weight forward, four backward; attention and lookups aside
    products = sum(p.numel() for name, p in net.named_parameters() if "layer" in name)
    assert operations(empty, shape) == pytest.approx(6 * products * 4 * 20, rel=0.35)


def test_what_is_written_is_known_by_keys_and_values(world: World) -> None:
    model = world.plan("finetune", "causal").spec.models[0]
    net, real = emptied(skeleton(model)), load(model, 2, 0).net.eval()
    with torch.no_grad(), Peak() as peak:
        ids = torch.zeros(8, 63, dtype=torch.long)
        before = real.base_model(input_ids=ids, use_cache=True).past_key_values
        kept = peak.most = peak.now
        real(input_ids=ids[:, :1], past_key_values=before, use_cache=True)
    assert kept >= 8 * 63 * cached_bytes(real.config)
    assert written(net, 8, 64) == pytest.approx(peak.most, rel=0.1)


def test_prompts_that_are_shared_take_what_they_take(world: World) -> None:
    """Keys and values of a prompt once for each of its answers."""
    model = world.plan("finetune", "causal").spec.models[0]
    net, real = emptied(skeleton(model)), TaskModel(load(model, 2, 0).net.eval())
    real.way = Way.SHARED
    rows = Encoded([""] * 8, [0] * 8, [[5] * 57] * 8, [[[7] * 3] * 4] * 8, [], 0)
    with Peak() as peak, torch.no_grad():
        answer_scores(real, rows, range(8), 0, torch.device("cpu"))
    assert scored(net, Shape(8, 60, 3, 4)) == pytest.approx(peak.most, rel=0.05)


def test_checkpointing_takes_less(world: World) -> None:
    model = world.plan("finetune", "causal").spec.models[0]
    net, shape = emptied(skeleton(model)), Shape(16, 64, 1)
    whole = trained(net, [shape], "float32", checkpointing=False)
    less = trained(net, [shape], "float32", checkpointing=True)
    assert less < 0.75 * whole
