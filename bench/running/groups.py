"""What of a network is put together at a time where its weights are cut over processes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple


class Groups(NamedTuple):
    """A network's blocks, and bytes of weights that are whole together."""

    inside: list[Any]  # all parameters of blocks
    root: int  # of what stands outside, whole from the forward pass to the end of the backward one
    block: int  # of the largest block
    gradients: int  # of the largest block's
    number: int  # of blocks

    @property
    def together(self) -> int:
        """The most that blocks take at one time: one with its gradients, the gradients of the one
        before on their way to other processes, and the weights of the next one on theirs."""
        both = self.block, self.gradients
        if self.number < 2:
            return sum(both)
        return sum(both) + (sum(both) if self.number > 2 else max(both))


def groups_of(net: Any) -> Groups:
    """Those of `bench.training.sharding`."""
    from bench.training.sharding import blocks  # torch.distributed is slow to import

    found = [list(block.parameters()) for block in blocks(net)]
    inside = list({id(p): p for block in found for p in block}.values())
    return Groups(
        inside,
        root=_bytes(net.parameters()) - _bytes(inside),
        block=max(map(_bytes, found), default=0),
        gradients=max((_bytes(p for p in each if p.requires_grad) for each in found), default=0),
        number=len(found),
    )


def _bytes(parameters: Iterable[Any]) -> int:
    return sum(p.nbytes for p in parameters)
