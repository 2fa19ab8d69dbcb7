"""`torch.compile` for the training passes, and a clock that stops what compiling takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter

import torch
from torch import nn

from bench.core.errors import CellError

_VARIANTS = 64  # of a block's code in one process: models, heads, frozen parts


def compiled(model: nn.Module) -> nn.Module:
    """`model` with its blocks compiled, which are alike and so compiled once, for all lengths.

    It is a new module around the same layers and parameters: everything but training goes on
    with the old one. Dropout draws the same numbers in both.
    """
    from accelerate.utils import compile_regions

    found: nn.Module = compile_regions(model, dynamic=True, options={"fallback_random": True})
    return found


@dataclass
class Clock:
    """Seconds spent in the compiler so far."""

    seconds: float = 0.0


@contextmanager
def compile_clock(notice: Callable[[], None]) -> Iterator[Clock]:
    """Clock whatever is compiled inside, when it is first needed; calls `notice` before.

    Raises:
        CellError: it cannot be compiled here; nothing runs uncompiled in its place.
    """
    from torch._dynamo.callback import CallbackArgs, callback_handler
    from torch._dynamo.exc import FailOnRecompileLimitHit, TorchDynamoException
    from torch._inductor.runtime.cache_dir_utils import cache_dir

    clock, started = Clock(), 0.0

    def start(_: CallbackArgs) -> None:
        nonlocal started
        notice()
        started = perf_counter()

    def end(_: CallbackArgs) -> None:
        clock.seconds += perf_counter() - started

    callback_handler.register_start_callback(start)
    callback_handler.register_end_callback(end)
    strict = torch._dynamo.config.patch(
        recompile_limit=_VARIANTS,
        fail_on_recompile_limit_hit=True,  # and not run uncompiled from there on
        suppress_errors=False,
        skip_nnmodule_hook_guards=False,  # a method may hook a layer later
    )
    try:
        with strict:
            yield clock
    except (TorchDynamoException, FailOnRecompileLimitHit) as error:
        reason = str(error).strip().partition("\n")[0]
        raise CellError(
            f"torch.compile: {reason} (train.compile=false runs without it; if a compiler was "
            f"killed before, delete the broken files that it left in {cache_dir()})"
        ) from error
    finally:
        callback_handler.remove_start_callback(start)
        callback_handler.remove_end_callback(end)
