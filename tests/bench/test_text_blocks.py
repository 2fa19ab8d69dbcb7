"""The loss on running text, against the model's own and a loop over single tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from bench.data import IGNORE
from bench.likelihood import TaskModel
from bench.texts import Blocks, block_length, cut_blocks, mean_loss, text_batches


@pytest.fixture(scope="module")
def net(tiny_causal: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(tiny_causal, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def tokenizer(tiny_causal: Path) -> Any:
    return AutoTokenizer.from_pretrained(tiny_causal)


@pytest.fixture
def blocks(net: Any, tokenizer: Any, tiny_text: Path) -> Blocks:
    """Of a text, the last one cut short, so that a batch is padded."""
    found = cut_blocks(tiny_text.read_text(), tokenizer, 512, True, block_length(net))
    assert len(found) == 4
    return [*found[:-1], found[-1][:41]]


def test_every_token_but_the_start_is_scored_once(tokenizer: Any, blocks: Blocks) -> None:
    batches = text_batches(blocks, tokenizer, "causal", size=3)
    scored = [[int(t) for t in row if t != IGNORE] for batch in batches for row in batch.targets]
    assert sorted(scored) == sorted(block[1:] for block in blocks)
    assert {block[0] for block in blocks} == {tokenizer.bos_token_id}


def test_the_mean_is_over_tokens_and_the_loss_the_models_own(
    net: Any, tokenizer: Any, blocks: Blocks
) -> None:
    total, tokens = 0.0, 0
    for block in blocks:
        ids = torch.tensor([block])
        with torch.no_grad():
            total += float(net(input_ids=ids, labels=ids).loss) * (len(block) - 1)
        tokens += len(block) - 1
    loss, counted = mean_loss(TaskModel(net), text_batches(blocks, tokenizer, "causal", size=3))
    assert counted == tokens == 3 * block_length(net) + 40
    assert loss == pytest.approx(total / tokens, rel=1e-6)


def test_the_context_is_what_stands_before_in_the_block(
    net: Any, tokenizer: Any, blocks: Blocks
) -> None:
    block = blocks[-1]
    with torch.no_grad():
        slow = [
            -float(net(input_ids=torch.tensor([block[:i]])).logits[0, -1].log_softmax(-1)[block[i]])
            for i in range(1, len(block))
        ]
    loss, _ = mean_loss(TaskModel(net), text_batches([block], tokenizer, "causal"))
    assert loss == pytest.approx(sum(slow) / len(slow), rel=1e-5)
