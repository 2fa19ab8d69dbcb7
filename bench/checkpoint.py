"""A stopped cell on disk: weights, optimizer and method state, as safetensors and JSON."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.store import atomic_write_text

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

    from bench.run import Run
    from methods.base import Method


def save(folder: Path, run: Run, method: Method, optimizer: Optimizer, extra: Any) -> None:
    """Write a checkpoint of `run` at `run.step`; the last whole one is kept until then.

    `extra` is any JSON value that the training loop wants back.
    """
    from safetensors.torch import save_file

    new = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    state = optimizer.state_dict()
    tensors, plain = _flatten(state["state"])
    save_file({n: p.detach() for n, p in run.net.named_parameters()}, new / "weights.safetensors")
    save_file(tensors, new / "optimizer.safetensors")
    save_file(method.state_dict(), new / "method.safetensors")
    document = {
        "step": run.step,
        "optimizer": {"groups": state["param_groups"], "values": plain},
        "extra": extra,
    }
    atomic_write_text(new / "checkpoint.json", json.dumps(document))
    shutil.rmtree(folder, ignore_errors=True)
    new.rename(folder)


def load(folder: Path, run: Run, method: Method) -> Any | None:
    """Put weights and method state back and return a token for `restore_optimizer`, or None
    where there is no whole checkpoint."""
    import torch
    from safetensors.torch import load_file

    if not (folder / "checkpoint.json").is_file():
        return None
    document = json.loads((folder / "checkpoint.json").read_text(encoding="utf-8"))
    weights = load_file(folder / "weights.safetensors")
    with torch.no_grad():
        for name, parameter in run.net.named_parameters():
            parameter.copy_(weights[name])
    method.load_state_dict(load_file(folder / "method.safetensors"))
    run.step = document["step"]
    return document


def restore_optimizer(folder: Path, document: Any, optimizer: Optimizer) -> Any:
    """Put the optimizer's state back; returns the `extra` that was saved."""
    from safetensors.torch import load_file

    state: dict[int, dict[str, Any]] = {}
    for key, value in load_file(folder / "optimizer.safetensors").items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    for key, value in document["optimizer"]["values"].items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": document["optimizer"]["groups"]})
    return document["extra"]


def remove(folder: Path) -> None:
    """Delete a checkpoint that is no longer needed."""
    shutil.rmtree(folder, ignore_errors=True)


def _flatten(state: dict[int, dict[str, Any]]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Optimizer state as tensors and plain values, keyed `INDEX.NAME`."""
    import torch

    flat = {f"{i}.{name}": value for i, entry in state.items() for name, value in entry.items()}
    tensors = {key: value for key, value in flat.items() if isinstance(value, torch.Tensor)}
    return tensors, {key: value for key, value in flat.items() if key not in tensors}
