"""Text written by the model itself: sampled or greedy, in batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import GenerationConfig

from bench.core.errors import CellError

Report = Callable[[int, int], None]
"""Told of the prompts that are done, and of how many there are."""
_BATCH = 32


def sample(
    net: Any,
    tokenizer: Any,
    prompts: Sequence[list[int]],
    *,
    seed: int,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_p: float = 1.0,
    progress: Report | None = None,
) -> list[list[int]]:
    """The model's sampled continuation of each prompt (token lists), without the end token.

    The global random stream is left as it was.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return _continued(
            net,
            tokenizer,
            prompts,
            progress,
            do_sample=True,
            top_k=0,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_p=top_p,
        )


def greedy(
    net: Any,
    tokenizer: Any,
    prompts: Sequence[list[int]],
    *,
    max_new_tokens: int,
    progress: Report | None = None,
) -> list[list[int]]:
    """The continuation of each prompt by the likeliest token each time, without the end token."""
    return _continued(
        net, tokenizer, prompts, progress, do_sample=False, max_new_tokens=max_new_tokens
    )


def _continued(
    net: Any,
    tokenizer: Any,
    prompts: Sequence[list[int]],
    progress: Report | None,
    **options: Any,
) -> list[list[int]]:
    """Prompts of like length share a batch, padded on the left; the bound is static."""
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    answers: list[list[int]] = [[] for _ in prompts]
    training, preferred = net.training, net.generation_config
    net.eval()
    # what the model's authors prefer to sample with (penalties, min-p) is no part of its knowledge
    net.generation_config = GenerationConfig()
    for start in range(0, len(order), _BATCH):
        chosen = order[start : start + _BATCH]
        rows = _generate(net, tokenizer, [prompts[i] for i in chosen], **options)
        for i, row in zip(chosen, rows, strict=True):
            answers[i] = row
        if progress:
            progress(min(start + _BATCH, len(order)), len(order))
    net.generation_config = preferred
    net.train(training)
    return answers


def start_tokens(tokenizer: Any) -> list[int]:
    """What a text begins with: the tokenizer's start token, or its end token (GPT-2).

    Raises:
        CellError: it has neither.
    """
    start = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    if start is None:
        raise CellError("the tokenizer has neither a start nor an end token to begin a text with")
    return [start]


def _generate(
    net: Any, tokenizer: Any, prompts: list[list[int]], **options: Any
) -> list[list[int]]:
    width = max(len(prompt) for prompt in prompts)
    pad = tokenizer.pad_token_id
    ids = [[pad] * (width - len(prompt)) + prompt for prompt in prompts]
    mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    out = net.generate(
        input_ids=torch.tensor(ids, device=net.device),
        attention_mask=torch.tensor(mask, device=net.device),
        pad_token_id=pad,
        eos_token_id=tokenizer.eos_token_id,
        **options,
    )
    end = tokenizer.eos_token_id
    rows = out[:, width:].tolist()
    return [row[: row.index(end)] if end in row else row for row in rows]
