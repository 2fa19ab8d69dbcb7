"""Running text, not tasks: a retention file or the model's own, cut into blocks and scored.

Blocks do not overlap (the stride is the block): a causal LM predicts every token of a block once,
from a start token and the tokens before it in its block. The start token itself is not scored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch

from bench.cells.cell import ModelInfo, ModelKind
from bench.core.hashing import derive_seed
from bench.network.batches import IGNORE, Batch, answer_batch
from bench.network.generation import sample, start_tokens
from bench.network.likelihood import TaskModel, example_losses
from bench.network.limits import context_length

BLOCK = 128  # tokens of text that are scored together
_MASKED_SHARE = 0.15  # of an encoder's tokens, as BERT was pretrained
_BATCH = 32

Blocks = list[list[int]]
"""Token lists, each with its start token in front."""


def block_length(net: Any) -> int:
    """Tokens per block: BLOCK, or fewer where the model's context has no room for that."""
    return min(BLOCK, context_length(net) - 2)


def cut_blocks(
    text: str,
    tokenizer: Any,
    tokens: int,
    scored: bool,
    kind: ModelKind = "causal",
    length: int = BLOCK,
) -> Blocks:
    """About `tokens` tokens of a text, as blocks spread evenly over it. What is scored and what
    methods read (every other block) have nothing in common, in a text of two blocks or more."""
    ids = _tokens(text, tokenizer)
    whole = range(0, max(1, len(ids) - length + 1), length)
    starts = whole[0 if scored or len(whole) == 1 else 1 :: 2]
    wanted = min(len(starts), max(1, tokens // length))
    chosen = [starts[i * len(starts) // wanted] for i in range(wanted)]
    front = _front(tokenizer, kind)
    return [[*front, *ids[start : start + length]] for start in chosen]


def _front(tokenizer: Any, kind: ModelKind) -> list[int]:
    if kind == "encoder" and tokenizer.cls_token_id is not None:
        return [tokenizer.cls_token_id]
    return start_tokens(tokenizer)


@lru_cache(maxsize=4)
def _tokens(text: str, tokenizer: Any) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    return ids


def sampled_blocks(
    net: Any,
    tokenizer: Any,
    info: ModelInfo,
    blocks: int,
    purpose: str,
    progress: Callable[[int, int], None] | None = None,
) -> Blocks:
    """Text that the model writes from nothing: `blocks` pieces, each of `block_length` tokens or
    up to its end token (which is left out). Another `purpose` gives other text."""
    front = start_tokens(tokenizer)
    texts = sample(
        net,
        tokenizer,
        [front] * blocks,
        seed=derive_seed(info.hash, purpose),
        max_new_tokens=block_length(net),
        progress=progress,
    )
    return [front + text for text in texts if text]


def text_batches(blocks: Blocks, tokenizer: Any, kind: str, size: int = _BATCH) -> list[Batch]:
    """Blocks as batches: every token but the first predicted, or on an encoder a fixed sample of
    masked ones. Blocks of like length stand together."""
    blocks = sorted(blocks, key=len)
    parts = [blocks[i : i + size] for i in range(0, len(blocks), size)]
    if kind == "causal":
        pad = tokenizer.pad_token_id
        return [answer_batch([(b[:1], b[1:]) for b in part], pad) for part in parts]
    return [_masked_batch(part, tokenizer, i) for i, part in enumerate(parts)]


def _masked_batch(blocks: Blocks, tokenizer: Any, number: int) -> Batch:
    """Masked-token prediction: 15 % of the tokens, chosen by a fixed seed, are replaced by the
    mask token and predicted."""
    width = max(len(block) for block in blocks)
    ids = torch.full((len(blocks), width), tokenizer.pad_token_id)
    for row, block in enumerate(blocks):
        ids[row, : len(block)] = torch.tensor(block)
    real = torch.arange(width) < torch.tensor([[len(block)] for block in blocks])
    generator = torch.Generator().manual_seed(derive_seed("mask", number))
    hidden = (torch.rand(ids.shape, generator=generator) < _MASKED_SHARE) & real
    hidden[:, 0] = False
    hidden[:, 1] |= ~hidden.any(1)  # every block predicts something
    targets = ids.masked_fill(~hidden, IGNORE)
    inputs = {
        "input_ids": ids.masked_fill(hidden, tokenizer.mask_token_id),
        "attention_mask": real.long(),
    }
    return Batch(inputs, torch.arange(width).expand(len(blocks), -1), targets)


def unlike_texts(batch: Batch) -> Batch:
    """The first, the middle and the last text of a batch, which stand in the order of length."""
    return batch.only(sorted({0, len(batch) // 2, len(batch) - 1}))


@dataclass(frozen=True)
class TextLoss:
    """How well a model predicts a text."""

    loss: float  # mean, in nats per predicted token
    tokens: list[int]  # of each block that are predicted
    nats: list[float]  # of each block, summed over them


@torch.inference_mode()
def text_loss(model: TaskModel, batches: list[Batch]) -> TextLoss:
    """The loss on batches of blocks, in eval mode."""
    training, device = model.training, model.net.device
    probe = unlike_texts(batches[0]).to(device)
    model.eval()
    with model.settled("text", lambda: example_losses(model, probe)):
        nats = [example_losses(model, batch.to(device)).double() for batch in batches]
    model.train(training)
    tokens = [n for batch in batches for n in (batch.targets != IGNORE).sum(1).tolist()]
    total = float(sum(each.sum() for each in nats))
    return TextLoss(total / sum(tokens), tokens, torch.cat(nats).tolist())
