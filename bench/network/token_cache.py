"""Tokenised rows as tensors, so that a second start reads them instead of tokenising again."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from itertools import accumulate, chain, pairwise
from typing import Any

import torch
from torch import Tensor

from bench.network.batches import Encoded

_NESTED = {"prompts": 1, "types": 1, "sizes": 1, "answers": 2}  # field -> lists around its lists


@contextmanager
def collector_paused() -> Iterator[None]:
    """Without Python's garbage collector: making lists by the hundred thousand, none of which is
    garbage, would start it again and again, and cost three times the work itself."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def pack(encoded: Encoded) -> dict[str, Tensor]:
    """All of `encoded` as tensors: the lists of tokens flat, with the lengths that part them, and
    everything else as JSON."""
    packed: dict[str, Tensor] = {}
    for name, depth in _NESTED.items():
        values: Sequence[Any] = getattr(encoded, name)
        for level in range(depth):
            packed[f"{name}.{level}"] = _integers(map(len, values))
            values = list(chain.from_iterable(values))
        packed[name] = _integers(values)
    rest = {f.name: getattr(encoded, f.name) for f in fields(Encoded) if f.name not in _NESTED}
    packed["rest"] = torch.frombuffer(bytearray(json.dumps(rest).encode()), dtype=torch.uint8)
    return packed


def unpack(packed: dict[str, Tensor]) -> Encoded:
    """The inverse of `pack`."""
    lists: dict[str, Any] = {}
    for name, depth in _NESTED.items():
        values = packed[name].tolist()
        for level in reversed(range(depth)):
            ends = accumulate(packed[f"{name}.{level}"].tolist(), initial=0)
            values = [values[start:end] for start, end in pairwise(ends)]
        lists[name] = values
    return Encoded(**lists, **json.loads(packed["rest"].numpy().tobytes()))


def _integers(values: Iterable[int]) -> Tensor:
    return torch.tensor(list(values), dtype=torch.int32)
