"""Tuned weights of a run's folder: what is measured later needs scoring only."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from bench.cells.cell import Cell, from_json, to_json
from bench.core.errors import BenchError
from bench.core.files import atomic_write_tensors, atomic_write_text
from bench.core.hashing import file_digest
from bench.core.text import printable

if TYPE_CHECKING:
    from torch import Tensor

GIB = 2**30


class Kept(NamedTuple):
    """Tuned weights, how they were made, and what their training left besides."""

    tensors: dict[str, Tensor]
    cell: Cell
    outputs: int  # of an encoder's head
    record: dict[str, Any]


class Weights:
    """`folder/weights/HASH.safetensors`, by the hash of the training, with `HASH.json` beside it,
    which is written last: where it is, the weights are. `bound` bytes at most are kept in all."""

    def __init__(self, folder: Path, bound: float = 0.0) -> None:
        self.folder = folder / "weights"
        self.bound = bound

    def find(self, cell: Cell) -> Kept | None:
        """What is kept of the cell's training; None where nothing whole is."""
        return None if cell.model.weights else self.read(cell.training_hash)  # no stage's

    def holds(self, cell: Cell) -> bool:
        """Whether something is kept of the cell's training, not read yet."""
        return not cell.model.weights and self._paths(cell.training_hash)[0].is_file()

    def read(self, name: str) -> Kept | None:
        """What is kept under the hash of a cell."""
        note, tensors = self._paths(name)
        if not note.is_file():
            return None
        try:
            value = json.loads(note.read_text(encoding="utf-8"))
            if value["digest"] != file_digest(tensors):
                raise ValueError("not as it was written")
            cell, outputs, record = from_json(value["cell"]), value["outputs"], value["record"]
        except (
            OSError,
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
            RecursionError,
        ) as error:
            reason = f"{type(error).__name__}: {error}".partition("\n")[0]
            print(f"{tensors} is damaged ({printable(reason)}) and left out", file=sys.stderr)
            return None
        from safetensors.torch import load_file

        return Kept(load_file(tensors), cast(Cell, cell), outputs, record)

    def keep(
        self, cell: Cell, outputs: int, tensors: Mapping[str, Tensor], record: Mapping[str, Any]
    ) -> None:
        """Write the weights, in place of damaged ones, unless they would go beyond the bound. A
        disk without room for them ends nothing."""
        note, path = self._paths(cell.training_hash)
        size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
        there = sum(
            file.stat().st_size for file in self.folder.glob("*.safetensors") if file != path
        )
        if cell.trial is not None or cell.model.weights or there + size > self.bound:
            return
        try:
            plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
            atomic_write_tensors(path, plain)
            value = {"cell": to_json(cell), "outputs": outputs, "record": record}
            text = json.dumps({**value, "digest": file_digest(path)})
            atomic_write_text(note, text)
        except BenchError:
            path.unlink(missing_ok=True)

    def _paths(self, name: str) -> tuple[Path, Path]:
        return self.folder / f"{name[:24]}.json", self.folder / f"{name[:24]}.safetensors"


def bound_of(words: str) -> float:
    """Bytes that `--keep-weights` allows: all, none, or so many GiB.

    Raises:
        BenchError: it is none of these.
    """
    fixed = {"all": float("inf"), "none": 0.0}
    try:
        found = fixed[words] if words in fixed else float(words) * GIB
    except ValueError:
        found = -1.0
    if not found >= 0:
        raise BenchError(f"--keep-weights {words!r} is neither all nor none nor a number of GiB.")
    return found
