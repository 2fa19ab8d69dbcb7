"""Activation checkpointing: memory for time, by computing activations twice."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.core.errors import CellError


@contextmanager
def activations_recomputed(net: Any) -> Iterator[None]:
    """Inside, training passes keep the inputs of the network's blocks alone, and the backward pass
    computes the rest again, dropout's draws included: the same gradients.

    Raises:
        CellError: the architecture cannot.
    """
    if not net.supports_gradient_checkpointing:
        raise CellError(
            f"train.checkpointing: {type(net).__name__} of transformers does not support it"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of its name, which is to be another in 6
        net.gradient_checkpointing_enable({"use_reentrant": False})
        try:
            yield
        finally:
            net.gradient_checkpointing_disable()
            net.disable_input_require_grads()
