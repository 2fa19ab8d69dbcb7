"""Work shared by the cells of a run, kept by the hash of what it is, with its first price."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.core.files import atomic_write_tensors, atomic_write_text
from bench.core.hashing import digest, file_digest
from bench.core.lease import Lease
from bench.core.version import SCORES_VERSION

if TYPE_CHECKING:
    from torch import Tensor


_LOOK_SECONDS = 0.02  # between two looks at what another process computes


class Cache:
    """A folder of safetensors and JSON files.

    `saved_seconds` adds up what the entries that were found had cost to compute, so that a cell
    can be charged for work that another cell happened to do first. `compile_seconds` adds up what
    `torch.compile` took while others were computed, which is in no price. An entry that another
    process computes is waited for, unless `in_step`, where several compute it together; the wait
    is no price either, and is taken off `saved_seconds`.
    """

    def __init__(self, folder: Path, in_step: bool = False) -> None:
        self.folder, self.in_step = folder, in_step
        self.saved_seconds = self.compile_seconds = 0.0

    def tensors(
        self, kind: str, key: Any, compute: Callable[[], dict[str, Tensor]]
    ) -> dict[str, Tensor]:
        """The tensors that `compute` gives, computed at most once for each JSON value `key`."""
        path = self._path(kind, key, "safetensors")
        with self._turn(path) as found:
            if not found:
                return self.put_tensors(kind, key, *self._timed(compute))
        from safetensors.torch import load_file

        stored: dict[str, Tensor] = load_file(path)
        return stored

    def mapped(
        self, kind: str, key: Any, compute: Callable[[], dict[str, Tensor]]
    ) -> dict[str, Tensor]:
        """The same, mapped from their file: what is not looked at takes no memory, and the system
        may take back what is."""
        from safetensors.torch import load_file

        self.tensors(kind, key, compute)
        found: dict[str, Tensor] = load_file(self._path(kind, key, "safetensors"))
        return found

    def put_tensors(
        self, kind: str, key: Any, value: dict[str, Tensor], seconds: float
    ) -> dict[str, Tensor]:
        """Keep tensors that cost `seconds` to compute; returns them as they are kept."""
        path = self._path(kind, key, "safetensors")
        plain = {name: tensor.detach().cpu().contiguous() for name, tensor in value.items()}
        atomic_write_tensors(path, plain)
        _keep_price(path, seconds)
        return plain

    def json(self, kind: str, key: Any, compute: Callable[[], Any]) -> Any:
        """The same for a JSON value."""
        path = self._path(kind, key, "json")
        with self._turn(path) as found:
            if not found:
                value, seconds = self._timed(compute)
                text = json.dumps(value)
                atomic_write_text(path, text)
                _keep_price(path, seconds)
                return json.loads(text)  # as it is found the next time
        return json.loads(path.read_text(encoding="utf-8"))

    def _path(self, kind: str, key: Any, suffix: str) -> Path:
        return self.folder / f"{kind}-{digest([SCORES_VERSION, key])[:24]}.{suffix}"

    @contextmanager
    def _turn(self, path: Path) -> Iterator[bool]:
        """Whether an entry is there; where not, this process alone computes it meanwhile."""
        found = self._found(path, quiet=not self.in_step)
        if found or self.in_step:
            yield found
            return
        lease, start = Lease(path.with_suffix(".lock")), time.perf_counter()
        while not lease.take():
            time.sleep(_LOOK_SECONDS)
        self.saved_seconds -= time.perf_counter() - start
        try:
            yield self._found(path)
        finally:
            lease.drop()

    def _found(self, path: Path, quiet: bool = False) -> bool:
        """Whether an entry is there as it was written; a damaged one is named unless `quiet`. Its
        price counts as saved."""
        paid = path.with_suffix(".seconds")
        if not path.is_file() or not paid.is_file():  # the price comes last: it is being written
            return False
        try:
            price = json.loads(paid.read_text(encoding="utf-8"))
            seconds = float(price["seconds"])
            whole = price["sha256"] == file_digest(path) and math.isfinite(seconds)
            reason = "not as it was written"
        except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
            whole, reason = False, f"{type(error).__name__}: {error}".partition("\n")[0]
        if whole:
            self.saved_seconds += seconds
        elif not quiet:
            print(f"{path} is damaged ({reason}) and computed again", file=sys.stderr)
        return whole

    def _timed(self, compute: Callable[[], Any]) -> tuple[Any, float]:
        """A value and its price: the seconds it took, and those that the cache saved it."""
        start, besides = time.perf_counter(), self.saved_seconds - self.compile_seconds
        value = compute()
        took = time.perf_counter() - start
        return value, took + self.saved_seconds - self.compile_seconds - besides


def _keep_price(path: Path, seconds: float) -> None:
    """Keep what an entry cost, and its digest: from here on it is whole."""
    price = {"seconds": seconds, "sha256": file_digest(path)}
    atomic_write_text(path.with_suffix(".seconds"), json.dumps(price))
