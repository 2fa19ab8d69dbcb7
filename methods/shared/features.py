"""What a network's head reads of each example, and the spectrum of that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from bench.network.likelihood import Way

if TYPE_CHECKING:
    from bench.network.batches import Batch
    from bench.training.context import TrainingContext


@contextmanager
def head_input(run: TrainingContext, batch: Batch) -> Iterator[Callable[[], Tensor]]:
    """A function that gives the features [n, D] of a forward pass on `batch` made inside: what
    the output layer reads at the last prompt token, or what the classifier (an encoder's last
    linear layer) reads, with the gradient's graph behind it."""
    seen: list[Tensor] = []

    def note(_: nn.Module, args: tuple[Any, ...]) -> None:
        seen.append(args[0])

    handle = _head(run.net).register_forward_pre_hook(note)

    def features() -> Tensor:
        if batch.positions is None:
            return torch.cat(seen)
        if run.task_model.way is Way.ALONE:
            starts = batch.positions[:, 0].tolist()
            return torch.stack([one[0, at] for one, at in zip(seen, starts, strict=True)])
        (found,) = seen
        if run.task_model.picks:  # the output layer was applied to the answer's positions alone
            return found[:, 0]
        return found[torch.arange(len(batch), device=found.device), batch.positions[:, 0]]

    try:
        yield features
    finally:
        handle.remove()


def _head(net: Any) -> nn.Module:
    """The output layer of a causal LM, the last linear layer of an encoder."""
    output: nn.Module | None = net.get_output_embeddings()
    if output is not None:
        return output
    return [module for module in net.modules() if isinstance(module, nn.Linear)][-1]


def gathered(run: TrainingContext, batch: Batch, features: Tensor) -> Tensor:
    """The features of a step's whole batch, shared out as it may be among processes."""
    accelerator, world = run.accelerator, run.accelerator.num_processes
    if world == 1:
        return features
    mine = features if batch.scale else features[:0]  # a process with nothing to do has a dummy
    counts = accelerator.gather(torch.tensor([len(mine)], device=features.device)).tolist()
    padded = accelerator.pad_across_processes(features.detach())
    parts = list(accelerator.gather(padded).chunk(world))
    # gradients are averaged over processes, and each adds those of its own part only
    parts[accelerator.process_index] = world * mine - (world - 1) * mine.detach()
    return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])


def smallest_singular_values(features: Tensor, k: int) -> Tensor:
    """The k smallest singular values of a matrix, descending; all if it has no more than k."""
    values: Tensor = torch.linalg.svdvals(features.float())
    return values[-k:]
