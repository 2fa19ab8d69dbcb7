"""Activation checkpointing: the same training, for every method, with less memory."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers as hf

from bench.core.errors import CellError
from bench.network.checkpointing import activations_recomputed
from bench.planning.plugins import load_builtin
from bench.selfcheck.world import plan_for, trained, weights
from bench.training.method import METHODS

load_builtin()


@pytest.mark.parametrize("name", METHODS.names())
def test_every_method_trains_as_without_it(
    name: str, tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    both = [
        trained(plan_for([name], ["cola"], tiny_causal, tiny_data, *words), tmp_path / str(i))
        for i, words in enumerate([(), ("train.checkpointing=true",)])
    ]
    plain, recomputed = (weights(stage) for stage in both)
    for key, value in plain.items():
        torch.testing.assert_close(recomputed[key], value, rtol=0, atol=1e-6, msg=f"{name} {key}")


def test_blocks_run_twice_inside_and_once_outside(tiny_encoder: Path) -> None:
    """Dropout's draws too: the gradients are those of one pass, bit for bit."""
    net = hf.AutoModelForMaskedLM.from_pretrained(tiny_encoder).train()
    calls: list[int] = []
    net.base_model.encoder.layer[0].attention.self.query.register_forward_hook(
        lambda *_: calls.append(1)
    )
    ids = torch.arange(24).view(2, 12) % net.config.vocab_size

    def gradients() -> list[torch.Tensor | None]:
        calls.clear()
        torch.manual_seed(3)
        net.zero_grad()
        net(input_ids=ids).logits.square().mean().backward()
        return [p.grad for p in net.parameters()]

    expected = gradients()
    assert len(calls) == 1
    with activations_recomputed(net):
        found = gradients()
        assert len(calls) == 2
    for one, other in zip(found, expected, strict=True):
        assert (one is None) == (other is None)
        assert one is None or other is None or torch.equal(one, other)
    gradients()
    assert len(calls) == 1


def test_a_network_that_cannot_is_named() -> None:
    net = hf.AutoModel.from_config(hf.BertConfig(num_hidden_layers=1, vocab_size=9, hidden_size=12))
    net.supports_gradient_checkpointing = False
    with (
        pytest.raises(CellError, match=r"train\.checkpointing: BertModel .* does not support it"),
        activations_recomputed(net),
    ):
        pass
