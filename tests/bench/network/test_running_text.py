"""The loss on running text, against the model's own and a loop over single tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from bench.network.batches import IGNORE
from bench.network.likelihood import TaskModel
from bench.network.running_text import Blocks, block_length, cut_blocks, text_batches, text_loss
from bench.running.single import run_cell
from bench.selfcheck.world import only_cell, plan_for, workspace_for


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
    found = text_loss(TaskModel(net), text_batches(blocks, tokenizer, "causal", size=3))
    assert sum(found.tokens) == tokens == 3 * block_length(net) + 40
    assert found.loss == pytest.approx(total / tokens, rel=1e-6)
    assert found.loss == pytest.approx(sum(found.nats) / tokens, rel=1e-12)


def test_the_context_is_what_stands_before_in_the_block(
    net: Any, tokenizer: Any, blocks: Blocks
) -> None:
    block = blocks[-1]
    with torch.no_grad():
        slow = [
            -float(net(input_ids=torch.tensor([block[:i]])).logits[0, -1].log_softmax(-1)[block[i]])
            for i in range(1, len(block))
        ]
    found = text_loss(TaskModel(net), text_batches([block], tokenizer, "causal"))
    assert found.loss == pytest.approx(sum(slow) / len(slow), rel=1e-5)


def test_a_runs_retention_is_a_loop_over_its_windows(
    net: Any, tokenizer: Any, tiny_causal: Path, tiny_data: Path, tiny_text: Path, tmp_path: Path
) -> None:
    """Of eight windows of 128 tokens every other one is scored (methods may read the rest), every
    token once, from the start token and what stands before it in its window."""
    ids = tokenizer(tiny_text.read_text(), add_special_tokens=False)["input_ids"]
    ids = ids[: 8 * 128 + 50]  # an unfinished window at the end is left out
    (tmp_path / "text.txt").write_text(tokenizer.decode(ids))
    settings = ("train.steps=1", f"train.retention_tokens={10**6}")
    plan = plan_for(
        ["finetune"], ["cola"], tiny_causal, tiny_data, *settings, retention=f"{tmp_path}/text.txt"
    )
    result, *_ = run_cell(only_cell(plan), workspace_for(plan, tmp_path), False)
    losses = []
    for window in range(0, 8, 2):
        start = window * 128
        for i in range(start, start + 128):
            before = torch.tensor([[tokenizer.bos_token_id, *ids[start:i]]])
            with torch.no_grad():
                losses.append(-float(net(input_ids=before).logits[0, -1].log_softmax(-1)[ids[i]]))
    assert result["retention"] is not None
    assert result["retention"]["tokens"] == len(losses) == 4 * 128
    assert result["retention"]["before"] == pytest.approx(sum(losses) / len(losses), rel=1e-5)
