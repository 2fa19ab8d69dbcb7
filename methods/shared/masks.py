"""Random masks over weights, drawn faster than by one float for each weight."""

from __future__ import annotations

import torch
from torch import Tensor

_LEVELS = 1 << 16


def inverted_mask(like: Tensor, p: float, generator: torch.Generator) -> Tensor:
    """M / p with M ~ Bernoulli(p), of the shape and type of `like`, so that its mean is 1.

    Each entry is decided by 16 bits, four of which a 64-bit draw gives; so p is rounded to the
    nearest of 65,536 levels, in the draw and in the division alike.
    """
    level = min(_LEVELS, max(1, round(p * _LEVELS)))
    draws = torch.empty(-(-like.numel() // 4), dtype=torch.int64, device=like.device)
    draws.random_(-(2**63), None, generator=generator)
    bits = draws.view(torch.int16)[: like.numel()].view(like.shape)
    return (bits <= level - _LEVELS // 2 - 1).to(like.dtype).mul_(_LEVELS / level)
