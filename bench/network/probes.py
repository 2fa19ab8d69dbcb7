"""What a network does, tried out on a few tokens: names and configurations do not always tell."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bench.network.limits import context_length, vocabulary

_TOKENS = 16
_SOME = 1000  # tokens that they are drawn from
_LARGE = 1e4  # logits that a cap would show on
_NOISE = 1e-3  # of what another change of the input does to the logits
_ROUNDING = 1e-5  # of the largest logit, where as many tokens are read
_OTHER_LENGTH = 3e-4  # where other kernels may add up in another order
_NARROW = 3e-2  # of the largest logit, of weights narrower than float32


@torch.no_grad()
def is_causal(net: Any) -> bool:
    """Whether the logits of a language model at t stay as they are when tokens after t change, or
    are not there."""
    ids = _some_tokens(net)
    half = ids.shape[1] // 2
    changed = torch.cat([ids[:, :half], ids[:, half:].flip(1).roll(1, 1)], 1)
    texts = (ids, changed, ids[:, :half])
    own, other, short = (_evaluated(net, input_ids=x)[0, :half].float() for x in texts)
    moved = (own - other).abs().max(), (own - short).abs().max()
    bounds = (_ROUNDING, _OTHER_LENGTH) if net.dtype == torch.float32 else (_NARROW, _NARROW)
    largest = own.abs().max()
    return bool(moved[0] <= bounds[0] * largest and moved[1] <= bounds[1] * largest)


@torch.no_grad()
def output_layer_is_last(net: Any) -> bool:
    """Whether the logits are what the output layer makes of the backbone's hidden states, of any:
    nothing between and nothing behind. The states are enlarged, or a cap on logits would not show
    before training has made them large."""
    seen: list[Tensor] = []

    def enlarge(_module: Any, _args: Any, output: Any) -> Any:
        logits = net.get_output_embeddings()(output.last_hidden_state)
        output.last_hidden_state = output.last_hidden_state * (_LARGE / logits.abs().max())
        seen.append(net.get_output_embeddings()(output.last_hidden_state))
        return output

    handle = None
    try:
        handle = net.base_model.register_forward_hook(enlarge)
        logits = _evaluated(net, input_ids=_some_tokens(net))
        rtol, atol = (_NOISE, _NOISE) if net.dtype == torch.float32 else (0.0, _NARROW * _LARGE)
        return bool(torch.allclose(logits, seen[0], rtol=rtol, atol=atol))
    except Exception:  # an architecture without a part that this uses
        return False
    finally:
        if handle:
            handle.remove()


@torch.no_grad()
def reads_types(net: Any) -> bool:
    """Whether the network tells a second text by its token types: types of 0 everywhere change
    nothing, those of 0 and 1 do. (GPT-2 reads "types" as words.)"""
    ids = _some_tokens(net)
    types = torch.zeros_like(ids)
    types[:, ids.shape[1] // 2 :] = 1
    try:
        plain, first, both = (
            _evaluated(net, input_ids=ids, **given)
            for given in ({}, {"token_type_ids": types * 0}, {"token_type_ids": types})
        )
    except Exception:  # it takes none, or has a single type
        return False
    change = (both - plain).abs().max()
    return bool((first - plain).abs().max() <= _NOISE * change) and float(change) > 0


def _some_tokens(net: Any) -> Tensor:
    """[1, T], all different, none of them padding (which some take the mask from)."""
    known = min(vocabulary(net.config) or _SOME, _SOME)
    ids = torch.randperm(known, generator=torch.Generator().manual_seed(0))
    pad = getattr(net.config, "pad_token_id", None)
    ids = ids if pad is None else ids[ids != pad]
    return ids[None, : min(_TOKENS, context_length(net))].to(net.device)


def _evaluated(net: Any, **inputs: Tensor) -> Tensor:
    training = net.training
    net.eval()
    try:
        logits: Tensor = net(**inputs).logits
        return logits
    finally:
        net.train(training)
