"""What a layer makes of its input and its output's gradient: the weight gradients of examples."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from transformers.pytorch_utils import Conv1D


@dataclass
class Outer:
    """A matrix whose gradient is left[e]ᵀ right[e] for every example e."""

    left: Tensor  # [n, T, rows]
    right: Tensor  # [n, T, columns]
    spans: list[tuple[int, int]] | None  # per example: first and last + 1 position that counts

    def factors(self, chunks: list[slice]) -> list[tuple[Tensor, Tensor]]:
        """leftᵀ [examples, rows, t] and right [examples, t, columns] of each chunk of examples."""
        pairs = []
        for chunk in chunks:
            span = slice(None)
            if self.spans is not None:
                firsts, lasts = zip(*self.spans[chunk], strict=True)
                span = slice(min(firsts), max(lasts))
            pairs.append((self.left[chunk, span].mT, self.right[chunk, span]))
        return pairs


@dataclass
class Rows:
    """An embedding whose gradient is values[e, t] in row ids[e, t]; rows that repeat add up."""

    ids: Tensor  # [n, T]
    values: Tensor  # [n, T, columns]


def kind_of(module: nn.Module) -> str | None:
    """Which rule a layer follows, by the code that it runs; None: no rule."""
    forward = type(module).forward
    if "forward" in vars(module):
        return None
    if forward is nn.Linear.forward:
        return "linear"
    if forward is Conv1D.forward:
        return "conv1d"
    if isinstance(module, nn.Embedding) and forward is nn.Embedding.forward:
        return "embedding" if module.max_norm is None and not module.scale_grad_by_freq else None
    weight = module._parameters.get("weight")
    named = "Norm" in type(module).__name__
    return "norm" if named and weight is not None and weight.dim() == 1 else None


def main_input(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    source = args[0] if args else next(iter(kwargs.values()))
    assert isinstance(source, Tensor)
    return source


def _respond(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], weight: Tensor, bias: Tensor
) -> Tensor:
    """A norm's output under another weight and, where it has one, bias; of what autocast has made
    of its input, in the weight's own precision."""
    args = tuple(_at_least(weight.dtype, x) for x in args)
    kwargs = {key: _at_least(weight.dtype, x) for key, x in kwargs.items()}
    given = {"weight": weight, "bias": bias}
    own = {key: given[key] for key, _ in module.named_parameters(recurse=False)}
    out: Tensor = functional_call(module, own, args, kwargs)
    return out


def _at_least(kind: torch.dtype, x: Any) -> Any:
    """A tensor of numbers as this type or what is wider; anything else as it is."""
    if not isinstance(x, Tensor) or not x.is_floating_point():
        return x
    return x.to(torch.promote_types(x.dtype, kind))


@torch.no_grad()
def unit_response(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], offset: bool
) -> Tensor:
    """d output / d weight of a norm that is affine in it; with an offset where it is 1 + weight."""
    zero = torch.zeros_like(module.get_parameter("weight"))
    response = _respond(module, args, kwargs, torch.ones_like(zero), zero)
    return response - _respond(module, args, kwargs, zero, zero) if offset else response


@torch.no_grad()
def try_norm(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[bool, bool]:
    """(is output = offset + weight * response + bias along the last dimension; is offset not 0).

    Tried on one example, with weights that differ from each other, so that GroupNorm and
    BatchNorm, whose weights lie along another dimension, fail.
    """
    args = tuple(x[:1] if isinstance(x, Tensor) else x for x in args)
    kwargs = {key: x[:1] if isinstance(x, Tensor) else x for key, x in kwargs.items()}
    zero = torch.zeros_like(module.get_parameter("weight"))
    weight = torch.linspace(0.5, 2, len(zero), dtype=zero.dtype, device=zero.device)
    bias = weight.flip(0) if module._parameters.get("bias") is not None else zero
    out = _respond(module, args, kwargs, weight, bias)
    if out.shape[-1] != len(weight):
        return False, False
    offset = _respond(module, args, kwargs, zero, zero)
    response = _respond(module, args, kwargs, torch.ones_like(zero), zero) - offset
    expected = offset + weight * response + bias
    close = 16 * torch.finfo(out.dtype).eps
    affine = torch.allclose(out, expected, rtol=close, atol=close * float(out.abs().max()))
    return affine, bool(offset.any())


def spans_of(d: Tensor) -> list[tuple[int, int]] | None:
    """Per example the first and last + 1 position of `d` [n, T, rows] that is not all zero.

    None where there is no padding, or where asking would make a device wait.
    """
    length = d.shape[1]
    if d.device.type != "cpu" or length == 1 or bool(d[:, :: length - 1].any(-1).all()):
        return None
    # The fastest such reduction in torch; what underflows in it would underflow in the square.
    used = torch.linalg.vector_norm(d, dim=-1).sign()
    first, last = used.argmax(1), length - used.flip(1).argmax(1)
    return list(zip(first.tolist(), last.tolist(), strict=True))


def merged(pieces: list[Rows], rows: int) -> tuple[Tensor, Tensor]:
    """Sorted keys [k] = example * rows + row, each once; their summed gradients [k, columns]."""
    offset = torch.arange(len(pieces[0].ids), device=pieces[0].ids.device)[:, None] * rows
    keys = torch.cat([(piece.ids + offset).flatten() for piece in pieces])
    values = torch.cat([piece.values.flatten(0, 1) for piece in pieces])
    unique, inverse = torch.unique(keys, return_inverse=True)
    return unique, values.new_zeros(len(unique), values.shape[1]).index_add_(0, inverse, values)


def blocks_of(
    chunks: list[slice],
    factors: list[list[tuple[Tensor, Tensor]]],
    added: tuple[Tensor, Tensor] | None,
    part: slice,
    rows: int,
) -> Iterator[Tensor]:
    """Gradients [chunk, part, columns]: the sum of the factors' products, and of `added` rows.

    A chunk is many examples and all rows, or one example and some of its rows. So what `added`
    has for it lies between two of its sorted keys.
    """
    keys = added[0].tolist() if added is not None else []
    columns = factors[0][0][1].shape[2]
    memory = factors[0][0][0].new_empty(chunks[0].stop, part.stop - part.start, columns)
    whole = len(memory[0]) == rows  # slicing costs as much as a small product
    for c, chunk in enumerate(chunks):
        block = memory[: chunk.stop - chunk.start]
        for k, pairs in enumerate(factors):
            left, right = pairs[c]
            block.baddbmm_(left if whole else left[:, part], right, beta=min(k, 1))
        if added is not None:
            start, stop = chunk.start * rows + part.start, (chunk.stop - 1) * rows + part.stop
            found = slice(bisect_left(keys, start), bisect_left(keys, stop))
            block.view(-1, columns).index_add_(0, added[0][found] - start, added[1][found])
        yield block
