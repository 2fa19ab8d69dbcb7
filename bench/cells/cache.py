"""Work shared by the cells of a run, kept by the hash of what it is, with its first price."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.core.files import atomic_write_tensors, atomic_write_text
from bench.core.hashing import digest
from bench.core.version import SUITE_VERSION

if TYPE_CHECKING:
    from torch import Tensor


class Cache:
    """A folder of safetensors and JSON files.

    `saved_seconds` adds up what the entries that were found had cost to compute, so that a cell
    can be charged for work that another cell happened to do first. `compile_seconds` adds up what
    `torch.compile` took while others were computed, which is in no price.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.saved_seconds = self.compile_seconds = 0.0

    def tensors(
        self, kind: str, key: Any, compute: Callable[[], dict[str, Tensor]]
    ) -> dict[str, Tensor]:
        """The tensors that `compute` gives, computed at most once for each JSON value `key`."""
        path = self._path(kind, key, "safetensors")
        if not path.is_file():
            self.put_tensors(kind, key, *self._timed(compute))
        else:
            self.saved_seconds += _price(path)
        from safetensors.torch import load_file

        stored: dict[str, Tensor] = load_file(path)
        return stored

    def put_tensors(self, kind: str, key: Any, value: dict[str, Tensor], seconds: float) -> None:
        """Keep tensors that cost `seconds` to compute."""
        path = self._priced(kind, key, "safetensors", seconds)
        plain = {name: tensor.detach().cpu().contiguous() for name, tensor in value.items()}
        atomic_write_tensors(path, plain)

    def json(self, kind: str, key: Any, compute: Callable[[], Any]) -> Any:
        """The same for a JSON value."""
        path = self._path(kind, key, "json")
        if not path.is_file():
            value, seconds = self._timed(compute)
            atomic_write_text(self._priced(kind, key, "json", seconds), json.dumps(value))
        else:
            self.saved_seconds += _price(path)
        return json.loads(path.read_text(encoding="utf-8"))

    def _path(self, kind: str, key: Any, suffix: str) -> Path:
        return self.folder / f"{kind}-{digest([SUITE_VERSION, key])[:24]}.{suffix}"

    def _priced(self, kind: str, key: Any, suffix: str, seconds: float) -> Path:
        """The path of an entry about to be written, whose price is there already."""
        path = self._path(kind, key, suffix)
        atomic_write_text(path.with_suffix(".seconds"), json.dumps(seconds))
        return path

    def _timed(self, compute: Callable[[], Any]) -> tuple[Any, float]:
        """A value and its price: the seconds it took, and those that the cache saved it."""
        start, besides = time.perf_counter(), self.saved_seconds - self.compile_seconds
        value = compute()
        took = time.perf_counter() - start
        return value, took + self.saved_seconds - self.compile_seconds - besides


def _price(path: Path) -> float:
    return float(json.loads(path.with_suffix(".seconds").read_text(encoding="utf-8")))
