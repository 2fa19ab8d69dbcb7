"""Weights that are cut over the processes while they are trained: FSDP2, by `fully_shard`.

Each process loads, prepares and scores the whole network. For the training alone every parameter
is cut along its first dimension, and with it its gradient, its moments, its θ0 and what a method
keeps under its name (Fisher information): all are DTensors then, on which arithmetic goes on shard
by shard (`run.number` makes a number of a sum). The weights of a block are whole for the length of
its passes.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from bench.core.errors import CellError
from bench.core.stops import error_of
from bench.training.shards import placed, unshard

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from bench.training.context import TrainingContext
    from bench.training.method import Method


def shard(run: TrainingContext, method: Method, optimizer: Optimizer) -> None:
    """Cut the network's parameters over all processes, block by block, and let the optimizer and
    the method hold shards in place of whole tensors.

    Raises:
        CellError: the optimizer has state already, which nobody knows how to cut.
    """
    if optimizer.state:
        raise CellError(f"FSDP: the optimizer of {method.name} has state before its first step")
    net: Any = run.net
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    mesh = init_device_mesh(run.device.type, (run.accelerator.num_processes,))
    for part in (*_wider(net), *reversed(blocks(net))):  # what stands inside another one first
        fully_shard(part, mesh=mesh)
    fully_shard(run.task_model, mesh=mesh)
    run.now_sharded(True)
    cut = dict(net.named_parameters())
    for group in optimizer.param_groups:
        group["params"] = [cut[names[id(p)]] if id(p) in names else p for p in group["params"]]
    kept = method.state_dict()
    shards = {key: placed(x, cut.get(key.rpartition("/")[2])) for key, x in kept.items()}
    if any(isinstance(value, DTensor) for value in shards.values()):
        method.load_state_dict(shards)


def blocks(net: Any) -> list[nn.Module]:
    """What transformers does not split, of which there are several in a row. (Embeddings, which it
    does not split either, may be the output layer as well, and one parameter has one place.)"""
    names = net._no_split_modules or ()
    rows = [module for module in net.modules() if isinstance(module, nn.ModuleList)]
    return [block for row in rows for block in row if type(block).__name__ in names]


def _wider(net: Any) -> list[nn.Module]:
    """What stands outside of blocks and is trained in float32 beside narrower weights, as adapters
    of a pooler are beside a head: gradients that are summed together have one type."""
    inside = {id(p) for block in blocks(net) for p in block.parameters()}
    found: dict[torch.dtype, dict[nn.Module, None]] = {}
    for module in net.modules():
        for p in module.parameters(recurse=False):
            if p.requires_grad and id(p) not in inside:
                found.setdefault(p.dtype, {})[module] = None
    return list(found.get(torch.float32, {})) if len(found) > 1 else []


def agreed(run: TrainingContext, caught: list[BaseException], due: bool) -> bool:
    """Whether a checkpoint is `due` in some process; and a process whose neighbour is to stop
    has `caught` that, too. A checkpoint needs the shards of all of them at the same step."""
    told = torch.tensor([bool(caught), due], dtype=torch.float32, device=run.device)
    stops, due = (run.accelerator.reduce(told) > 0).tolist()
    if stops and not caught:
        caught.append(error_of(signal.SIGTERM))
    return due


def release(run: TrainingContext) -> None:
    """Make the weights whole in every process, for good."""
    if run.step == run.steps:
        run.optimizer.state.clear()  # nobody takes a step any more, and whole weights need room
    unshard(run.task_model)
    run.now_sharded(False)
