"""How the learning rate rises and falls over a run."""

from __future__ import annotations

import math

from bench.cells.recipe import Training


def rate_factor(recipe: Training, step: int, steps: int) -> float:
    """What the peak learning rate is multiplied with at optimizer step `step`, from 0: up
    linearly over the warm-up, then down by the recipe's schedule, to reach 0 behind the last."""
    warmup = round(recipe.warmup * steps)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    share = (step - warmup) / max(1, steps - warmup)
    if recipe.schedule == "linear":
        return 1.0 - share
    if recipe.schedule == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * share))
    return 1.0
