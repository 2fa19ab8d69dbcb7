"""Which cell a free place runs next, so that shared work is made once."""

from __future__ import annotations

from collections.abc import Sequence

from bench.cells.cell import REFERENCE, AnyCell, TaskSequence


def next_cell(left: Sequence[AnyCell], in_hand: Sequence[AnyCell]) -> AnyCell | None:
    """Of the cells left, the first of the task that the fewest have in hand, but for those that
    would make again what another makes now. None: it waits."""
    making = [_origin(cell) for cell in (*in_hand, *left) if _is_reference(cell)]
    ready = [
        cell for cell in left if not ("finetuned" in cell.method.needs and _origin(cell) in making)
    ]
    return min(ready, key=lambda cell: sum(o.name == cell.name for o in in_hand), default=None)


def _is_reference(cell: AnyCell) -> bool:
    return cell.method.name == REFERENCE and cell.method.lr is None


def _origin(cell: AnyCell) -> tuple[str, str, int]:
    """What cells have in common of which one makes plain fine-tuned weights for the others."""
    first = cell.stages[0] if isinstance(cell, TaskSequence) else cell
    return first.model.hash, cell.name, first.seed
