"""Tensors that are cut over processes, and how they are whole again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor, distribute_tensor


def placed(value: Tensor, like: Tensor | None) -> Tensor:
    """`value` cut as the parameter `like` of the same shape is; itself where that is whole."""
    if not isinstance(like, DTensor) or isinstance(value, DTensor) or value.shape != like.shape:
        return value
    return distribute_tensor(value, like.device_mesh, like.placements, src_data_rank=None)


def gathered(tensors: Mapping[str, Tensor], keep: bool) -> dict[str, Tensor]:
    """Shards put together, on the CPU, and the other tensors as they are; nothing unless `keep`.
    All processes must call it alike."""
    found = {}
    for name, value in tensors.items():
        whole = value.full_tensor() if isinstance(value, DTensor) else value
        if keep:
            found[name] = whole.cpu() if whole is not value else value
    return found


@contextmanager
def whole(model: nn.Module) -> Iterator[None]:
    """Inside, all weights of a sharded model are whole in every process, which then computes as it
    likes, but must not change them."""
    unshard(model)
    try:
        yield
    finally:
        assert isinstance(model, FSDPModule)
        model.reset_iter_state()
        for part in _parts(model):  # what stands outside of blocks is needed to the end of a pass
            part.set_reshard_after_forward(part is not model, recurse=False)


def unshard(model: nn.Module) -> None:
    """Make all weights of a sharded model whole in every process."""
    for part in _parts(model):
        part.set_reshard_after_forward(False, recurse=False)
        part.unshard()


def _parts(model: nn.Module) -> list[FSDPModule]:
    return [module for module in model.modules() if isinstance(module, FSDPModule)]
