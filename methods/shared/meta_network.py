"""What can be known of a network before its weights are loaded."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bench.core.errors import CellError

if TYPE_CHECKING:
    from bench.cells.cell import ModelInfo


def complaint(model: ModelInfo, check: Callable[[Any], object]) -> str | None:
    """The message of the CellError that `check` raises on the model's network.

    None where it raises none, and where the network cannot be built without its weights: then the
    cell will tell.
    """
    net = _skeleton(model)
    try:
        if net is not None:
            check(net)
    except CellError as error:
        return str(error)
    return None


@functools.cache
def _skeleton(model: ModelInfo) -> Any | None:
    """The network on torch's meta device, from the configuration alone: names and shapes."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

    causal = model.kind == "causal"
    factory = AutoModelForCausalLM if causal else AutoModelForSequenceClassification
    try:
        config = AutoConfig.from_pretrained(
            model.source, revision=model.revision, trust_remote_code=model.trusted
        )
        with torch.device("meta"):
            return factory.from_config(config, trust_remote_code=model.trusted)
    except Exception:  # whatever an architecture does when it is built without values
        return None
