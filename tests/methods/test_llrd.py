"""Layer-wise decay: every family's depths written out, and what a step of Adam makes of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from torch import nn

from bench.core.errors import CellError
from bench.selfcheck.world import plan_for, trained, weights
from methods.shared.depth import depths

SMALL: dict[str, Any] = {"vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 3}
WIDE = SMALL | {"intermediate_size": 12, "num_attention_heads": 2, "pad_token_id": 0}
GPT2 = {"vocab_size": 20, "n_embd": 8, "n_layer": 3, "n_head": 2}
OPT: dict[str, Any] = {"ffn_dim": 12, "word_embed_proj_dim": 8, "max_position_embeddings": 16}
DISTIL = {"vocab_size": 20, "dim": 8, "hidden_dim": 12, "n_layers": 3, "n_heads": 2}

# one parameter of each part: embeddings (depth 4), bottom block (3), top block (1), above (0)
FAMILIES: dict[str, tuple[Callable[[], nn.Module], dict[str, int]]] = {
    "llama, tied": (
        lambda: hf.LlamaForCausalLM(hf.LlamaConfig(**WIDE, tie_word_embeddings=True)),
        {
            "model.embed_tokens.weight": 4,
            "model.layers.0.mlp.up_proj.weight": 3,
            "model.layers.2.input_layernorm.weight": 1,
            "model.norm.weight": 0,
        },
    ),
    "llama, untied": (
        lambda: hf.LlamaForCausalLM(hf.LlamaConfig(**WIDE, tie_word_embeddings=False)),
        {"model.embed_tokens.weight": 4, "lm_head.weight": 0},
    ),
    "gpt2": (
        lambda: hf.GPT2LMHeadModel(hf.GPT2Config(**GPT2)),
        {
            "transformer.wte.weight": 4,
            "transformer.wpe.weight": 4,
            "transformer.h.0.attn.c_attn.bias": 3,
            "transformer.h.2.ln_1.weight": 1,
            "transformer.ln_f.bias": 0,
        },
    ),
    "opt": (  # its final norm is registered below its blocks
        lambda: hf.OPTForCausalLM(hf.OPTConfig(**WIDE | OPT)),
        {
            "model.decoder.embed_positions.weight": 4,
            "model.decoder.layers.1.fc1.weight": 2,
            "model.decoder.final_layer_norm.weight": 0,
        },
    ),
    "bert": (
        lambda: hf.BertForSequenceClassification(hf.BertConfig(**WIDE)),
        {
            "bert.embeddings.word_embeddings.weight": 4,
            "bert.embeddings.LayerNorm.bias": 4,
            "bert.encoder.layer.0.output.dense.weight": 3,
            "bert.encoder.layer.2.output.LayerNorm.weight": 1,
            "bert.pooler.dense.weight": 0,
            "classifier.weight": 0,
        },
    ),
    "distilbert": (
        lambda: hf.DistilBertForSequenceClassification(hf.DistilBertConfig(**DISTIL)),
        {
            "distilbert.embeddings.LayerNorm.weight": 4,
            "distilbert.transformer.layer.0.ffn.lin1.weight": 3,
            "pre_classifier.weight": 0,
        },
    ),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_depths_are_counted_from_the_top(family: str) -> None:
    build, expected = FAMILIES[family]
    net = build()
    found = depths(net)
    assert {name: found[name] for name in expected} == expected
    assert list(found) == [name for name, _ in net.named_parameters()]
    assert set(found.values()) == {0, 1, 2, 3, 4}


def test_a_network_without_blocks_is_named() -> None:
    with pytest.raises(CellError, match="Sequential has no list of blocks of one class"):
        depths(nn.Sequential(nn.Linear(2, 2)))


def test_adams_first_step_shrinks_with_the_depth(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    """A step of Adam is its rate times something that does not depend on it."""

    def step(method: str, *settings: str) -> dict[str, torch.Tensor]:
        words = *settings, "train.steps=1", "train.weight_decay=0", "train.lr=0.01"
        stage = trained(plan_for([method], ["cola"], tiny_causal, tiny_data, *words), tmp_path)
        return {n: x.double() - stage.loaded.base[n].double() for n, x in weights(stage).items()}

    plain, found = step("finetune"), step("llrd", "llrd.xi=0.5")
    for name, change in plain.items():
        block = name.split(".")[2] if ".layers." in name else None
        depth = {"0": 2, "1": 1, None: 3 if "embed" in name else 0}[block]
        torch.testing.assert_close(found[name], change * 0.5**depth, rtol=1e-3, atol=1e-6)


def test_the_bottom_moves_less(tiny_encoder: Path, tiny_data: Path, tmp_path: Path) -> None:
    def moved(xi: str) -> dict[str, float]:
        plan = plan_for(
            ["llrd"], ["cola"], tiny_encoder, tiny_data, f"llrd.xi={xi}", "train.steps=20"
        )
        stage = trained(plan, tmp_path)
        return {
            n: float((p.detach() - stage.loaded.base[n]).norm())
            for n, p in stage.loaded.pretrained()
        }

    plain, decayed = moved("1"), moved("0.3")
    name = "bert.encoder.layer.{}.output.dense.weight"
    shares = [decayed[name.format(i)] / plain[name.format(i)] for i in (0, 1)]
    assert shares[0] < 0.5 * shares[1] < 0.5
