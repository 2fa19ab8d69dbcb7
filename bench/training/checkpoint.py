"""A stopped cell on disk: weights, optimizer and method state, as safetensors and JSON."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.core.errors import BenchError
from bench.core.files import atomic_write_tensors, atomic_write_text

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

    from bench.training.context import TrainingContext
    from bench.training.method import Method

_LAST = "checkpoint.json"  # written last: where it is, all is


def save(
    folder: Path, run: TrainingContext, method: Method, optimizer: Optimizer, extra: Any
) -> None:
    """Write a checkpoint of `run` at `run.step`, beside the last one, which then makes way.

    `extra` is any JSON value that the training loop wants back.

    Raises:
        BenchError: it cannot be written; the last one is still there.
    """
    new, old = _aside(folder, "new"), _aside(folder, "old")
    remove(folder, but=folder)
    state = optimizer.state_dict()
    tensors, plain = _flatten(state["state"])
    weights = {name: p.detach() for name, p in run.net.named_parameters()}
    document = {
        "step": run.step,
        "optimizer": {"groups": state["param_groups"], "values": plain},
        "extra": extra,
    }
    try:
        atomic_write_tensors(new / "weights.safetensors", weights)
        atomic_write_tensors(new / "optimizer.safetensors", tensors)
        atomic_write_tensors(new / "method.safetensors", method.state_dict())
        atomic_write_text(new / _LAST, json.dumps(document))
    except BenchError:
        shutil.rmtree(new, ignore_errors=True)  # a full disk needs the room
        raise
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def find(folder: Path) -> Path | None:
    """Where the newest whole checkpoint is, after a crash at whatever moment; None: nowhere."""
    places = (_aside(folder, "new"), folder, _aside(folder, "old"))
    return next((place for place in places if (place / _LAST).is_file()), None)


def load(folder: Path, run: TrainingContext, method: Method) -> Any:
    """Put method state and step back; returns the document for `restore`."""
    from safetensors.torch import load_file

    document = json.loads((folder / _LAST).read_text(encoding="utf-8"))
    method.load_state_dict(load_file(folder / "method.safetensors", device=str(run.device)))
    run.step = document["step"]
    return document


def restore(folder: Path, document: Any, run: TrainingContext, optimizer: Optimizer) -> Any:
    """Put the weights and the optimizer's state back, once the method has built its optimizer and
    with it whatever it adds to the network; returns the `extra` that was saved."""
    import torch
    from safetensors.torch import load_file

    weights = load_file(folder / "weights.safetensors")
    with torch.no_grad():
        for name, parameter in run.net.named_parameters():
            parameter.copy_(weights[name])
    state: dict[int, dict[str, Any]] = {}
    for key, value in load_file(folder / "optimizer.safetensors").items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    for key, value in document["optimizer"]["values"].items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": document["optimizer"]["groups"]})
    return document["extra"]


def remove(folder: Path, but: Path | None = None) -> None:
    """Delete a checkpoint and what a crash left beside it, except `but`."""
    for place in (folder, _aside(folder, "new"), _aside(folder, "old")):
        if place != but:
            shutil.rmtree(place, ignore_errors=True)


def _aside(folder: Path, suffix: str) -> Path:
    return folder.with_name(f"{folder.name}.{suffix}")


def _flatten(state: dict[int, dict[str, Any]]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Optimizer state as tensors and plain values, keyed `INDEX.NAME`."""
    import torch

    flat = {f"{i}.{name}": value for i, entry in state.items() for name, value in entry.items()}
    tensors = {key: value for key, value in flat.items() if isinstance(value, torch.Tensor)}
    return tensors, {key: value for key, value in flat.items() if key not in tensors}
