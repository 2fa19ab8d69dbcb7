"""Text written by the model itself: sampled or greedy, in batches."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import GenerationConfig, TemperatureLogitsWarper, TopPLogitsWarper

from bench.core.errors import CellError

Report = Callable[[int, int], None]
"""Told of the prompts that are done, and of how many there are."""
SIDE_BY_SIDE = 32  # prompts, with a cache, or one by one
STARTS = 128  # the same of prompts of one token, whose cache is small
_TRIED = 16  # tokens written to see whether a mode is right
log = logging.getLogger(__name__)


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
    """Prompts of like length share a batch, padded on the left, where that is right; the bound is
    static."""
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    answers: list[list[int]] = [[] for _ in prompts]
    training, preferred = net.training, net.generation_config
    net.eval()
    # what the model's authors prefer to sample with (penalties, min-p) is no part of its knowledge
    net.generation_config = GenerationConfig()
    size = _size(net, tokenizer, [prompts[i] for i in order], options["max_new_tokens"])
    for start in range(0, len(order), size or 1):
        chosen = order[start : start + (size or 1)]
        write = _generate if size else _step_by_step
        rows = write(net, tokenizer, [prompts[i] for i in chosen], **options)
        for i, row in zip(chosen, rows, strict=True):
            answers[i] = row
        if progress:
            progress(min(start + (size or 1), len(order)), len(order))
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
    end = tokenizer.eos_token_id
    out = _called(net, tokenizer.pad_token_id, prompts, eos_token_id=end, **options)
    rows = out[:, max(map(len, prompts)) :].tolist()
    return [row[: row.index(end)] if end in row else row for row in rows]


def _called(net: Any, pad: int, prompts: list[list[int]], **options: Any) -> Any:
    width = max(len(prompt) for prompt in prompts)
    ids = [[pad] * (width - len(prompt)) + prompt for prompt in prompts]
    mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return net.generate(
        input_ids=torch.tensor(ids, device=net.device),
        attention_mask=torch.tensor(mask, device=net.device),
        pad_token_id=pad,
        synced_gpus=False,  # each process has prompts of its own, and the weights whole
        **options,
    )


@torch.no_grad()
def _step_by_step(
    net: Any,
    tokenizer: Any,
    prompts: list[list[int]],
    *,
    max_new_tokens: int,
    do_sample: bool,
    top_k: int = 0,
    **warped: float,
) -> list[list[int]]:
    """The same by the network's own call on one text each time."""
    assert top_k == 0, "of all tokens"
    rows: list[list[int]] = []
    for prompt in prompts:
        rows.append([])
        while len(rows[-1]) < max_new_tokens:
            ids = torch.tensor([prompt + rows[-1]], device=net.device)
            logits = net(input_ids=ids).logits[:, -1].float()
            if do_sample:
                logits = TemperatureLogitsWarper(warped["temperature"])(ids, logits)
                logits = TopPLogitsWarper(warped["top_p"])(ids, logits)
                token = int(logits.softmax(-1).multinomial(1))
            else:
                token = int(logits.argmax())
            if token == tokenizer.eos_token_id:
                break
            rows[-1].append(token)
    return rows


def _size(net: Any, tokenizer: Any, prompts: list[list[int]], max_new_tokens: int) -> int:
    """How many prompts side by side, padded and with a cache, are continued by the network's own
    logits, as the shortest, a middling and the longest tell (they are in the order of length); 0
    where no number is."""
    if not prompts:
        return SIDE_BY_SIDE
    sizes = (SIDE_BY_SIDE, 1) if len(prompts[-1]) > 1 else (STARTS, SIDE_BY_SIDE, 1)
    probe = [prompts[i] for i in sorted({0, len(prompts) // 2, len(prompts) - 1})]
    tokens = min(_TRIED, max_new_tokens)
    for size in sizes:
        parts = [probe[i : i + size] for i in range(0, len(probe), size)]
        if all(_is_right(net, tokenizer.pad_token_id, part, tokens) for part in parts):
            return size
    log.warning("text is written without a cache (slow), which would change it")
    return 0


@torch.no_grad()
def _is_right(net: Any, pad: int, prompts: list[list[int]], tokens: int) -> bool:
    """Whether each token is chosen by the logits that the network has for the text before it."""
    told = {"output_logits": True, "return_dict_in_generate": True, "do_sample": False}
    try:
        out = _called(net, pad, prompts, max_new_tokens=tokens, **told)
    except Exception:  # whatever an architecture makes of a padded prompt, or of a cache
        return False
    for i, prompt in enumerate(prompts):
        text = torch.tensor(prompt, device=net.device)
        text = torch.cat([text, out.sequences[i, -tokens:-1]])
        own = net(input_ids=text[None]).logits[0, len(prompt) - 1 :].float()
        given = torch.stack([step[i] for step in out.logits]).float()
        within = 1e-2 if torch.is_autocast_enabled(net.device.type) else 1e-3
        if not torch.allclose(given, own, rtol=0, atol=within * max(1.0, float(own.abs().max()))):
            return False
    return True
