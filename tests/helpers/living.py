"""What tensors take while weights are sharded, in a process that a test has started.

`Peak` of bench.network.outline counts what is made; sharding empties storages and fills them again,
and its tensors are parts of what they seem to be.
"""

from __future__ import annotations

import json
import os
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bench.training import checkpoint, sharding


class Living(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The most bytes that all tensors have at one time that go in or come out of an operation."""

    def __init__(self, there: Iterable[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.storages: dict[int, weakref.ref[torch.UntypedStorage]] = {}
        self.most = 0
        self._see(list(there))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        self._see((args, kwargs, found))
        return found

    def _see(self, values: Any) -> None:
        for value in tree_leaves(values):
            if isinstance(value, Tensor):
                local = value._local_tensor if isinstance(value, DTensor) else value
                storage = local.untyped_storage()
                self.storages[storage._cdata] = weakref.ref(storage)
        alive = {place: ref for place, ref in self.storages.items() if ref() is not None}
        self.storages = alive
        here = (ref() for ref in alive.values())
        self.most = max(self.most, sum(storage.nbytes() for storage in here if storage is not None))


def watch(folder: Path, model: str) -> None:
    """Write of each training of the model, up to its first checkpoint, the most bytes that there
    are while it is cut, trained and saved, and how many networks of earlier trainings there are
    beside its own: {method}-{rank}.json in `folder`."""
    cut, save, modes = sharding.shard, checkpoint.save, dict[str, Living]()
    nets: list[weakref.ref[Any]] = []

    def watched_cut(run: Any, method: Any, optimizer: Any) -> None:
        if run.cell.model.name == model:
            found["others"] = sum(net() is not None for net in nets)
            nets.append(weakref.ref(run.net))
        if run.cell.model.name != model or run.step:
            cut(run, method, optimizer)
            return
        there = [*run.loaded.base.values(), *run.net.parameters(), *method.state_dict().values()]
        mode = modes[method.name] = Living(there)
        del there
        mode.__enter__()
        cut(run, method, optimizer)
        found["cut"], mode.most = mode.most, 0

    def watched_save(folder_: Path, run: Any, method: Any, *rest: Any) -> None:
        mode = modes.pop(method.name, None)
        if mode is None:
            save(folder_, run, method, *rest)
            return
        found["train"], mode.most = mode.most, 0
        save(folder_, run, method, *rest)
        found["save"] = mode.most
        mode.__exit__(None, None, None)
        (folder / f"{method.name}-{os.environ['RANK']}.json").write_text(json.dumps(found))

    found: dict[str, int] = {}
    sharding.shard, checkpoint.save = watched_cut, watched_save
