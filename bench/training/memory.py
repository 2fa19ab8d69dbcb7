"""Memory that ran out, and the smaller micro-batch that may fit."""

from __future__ import annotations

import gc
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.cells.cell import AnyCell, TaskSequence
from bench.training.stack import build

if TYPE_CHECKING:
    from bench.cells.recipe import Training


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, of whatever device."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    # torch's allocator of the CPU has no type for it
    words = "not enough memory", "can't allocate memory"
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)


def half_of_micro_batch(cell: AnyCell) -> int | None:
    """Half of the examples of a backward pass, the batch of a step being as it was; None where
    there is one only, or the method refuses micro-batches."""
    first = cell.stages[0] if isinstance(cell, TaskSequence) else cell
    recipe: Training = first.training
    half = (min(recipe.micro_batch or recipe.batch_size, recipe.batch_size) + 1) // 2
    smaller = replace(recipe, micro_batch=half)
    if half == (recipe.micro_batch or recipe.batch_size):
        return None
    return half if build(first.method).refuses(first.model, smaller) is None else None


def free_memory() -> None:
    """Give back what a failed attempt held."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
