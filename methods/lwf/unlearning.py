"""When Learning With Forgetting unlearns, and how hard."""

from __future__ import annotations

import random
from functools import lru_cache
from typing import TYPE_CHECKING

from bench.training.schedule import rate_factor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from bench.training.context import TrainingContext
    from methods.lwf.settings import LWFConfig


def turn_at(run: TrainingContext, config: LWFConfig, step: int) -> int | None:
    """Which ascent, from 0, goes with the learning step `step`, from 1; None: none does."""
    if config.schedule == "periodic":
        turn, rest = divmod(step, config.interval)
        return None if rest else turn - 1
    if config.schedule == "random":
        return _random_turns(run.seed("unlearning steps"), run.steps, config.interval).get(step)
    first = config.ascent == "joint" and step <= run.steps // config.interval
    return step - 1 if first else None


@lru_cache(maxsize=1)
def _random_turns(seed: int, steps: int, interval: int) -> dict[int, int]:
    """Learning steps, drawn at random, as many as a periodic schedule has -> 0, 1, 2, ..."""
    drawn = random.Random(seed).sample(range(1, steps + 1), steps // interval)
    return {step: turn for turn, step in enumerate(sorted(drawn))}


def turns_ahead(run: TrainingContext, config: LWFConfig) -> Iterator[int]:
    """All ascents of a periodic schedule, before the first learning step: at the learning rates
    that they would have had, and with an optimizer of their own."""
    optimizer, recipe = run.adamw(), run.cell.recipe
    run.optimizer = run.accelerator.prepare(optimizer)
    for turn in range(run.steps // config.interval):
        last_step = (turn + 1) * config.interval - 1
        for group in optimizer.param_groups:
            group["lr"] = recipe.lr * rate_factor(recipe, last_step, run.steps)
        yield turn


def push(config: LWFConfig, rise: Tensor) -> Tensor:
    """What the ascent on each answer is multiplied by, [n], from the rise of its loss above the
    base model's, [n] in nats per token: 1, and at the cap 0; tapered, it falls linearly from 1 at
    no rise to 0 at the cap, and on below it."""
    if config.max_rise is None:
        return rise.new_ones(rise.shape)
    if config.taper:
        return (1 - rise / config.max_rise).clamp(max=1)
    return (rise < config.max_rise).to(rise.dtype)
