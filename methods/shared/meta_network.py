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
    net = _network(model)
    try:
        if net is not None:
            check(net)
    except CellError as error:
        return str(error)
    return None


@functools.cache
def _network(model: ModelInfo) -> Any | None:
    from bench.network.outline import skeleton

    try:
        return skeleton(model)
    except Exception:  # whatever an architecture does when it is built without values
        return None
