"""A stopped cell on disk: weights, optimizer and method state, as safetensors and JSON.

A checkpoint is one thing: its JSON holds the digests of the other files and of itself, so that a
file of another checkpoint, or one that was changed, is seen before any is used.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.core.errors import BenchError
from bench.core.files import atomic_write_tensors, atomic_write_text
from bench.core.hashing import file_digest

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

    from bench.training.context import TrainingContext
    from bench.training.method import Method

_LAST = "checkpoint.json"  # written last: where it is, all is
_BEST = "best.safetensors"  # where the best weights are selected
_TENSORS = ("weights.safetensors", "optimizer.safetensors", "method.safetensors")


def save(
    folder: Path, run: TrainingContext, method: Method, optimizer: Optimizer, extra: Any
) -> None:
    """Write a checkpoint of `run` at `run.step`, beside the last one, which makes way once the new
    one is whole. `settle` was called before, so no other than the one at `folder` can be whole.
    Behind the last step there is nothing left for the optimizer to do, and it is not written.
    Where weights are sharded all processes must call it; the first one writes.

    `extra` is any JSON value that the training loop wants back.

    Raises:
        BenchError: it cannot be written; the last one is still there.
    """
    state = optimizer.state_dict() if run.step < run.steps else {"state": {}, "param_groups": []}
    tensors, plain = _flatten(state["state"])
    weights = changing(run, method)
    document = {
        "step": run.step,
        "optimizer": {"groups": state["param_groups"], "values": plain},
        "extra": extra,
    }
    contents = dict(zip(_TENSORS, (weights, tensors, method.state_dict()), strict=True))
    if run.sharded:
        from bench.training.shards import gathered

        writes = run.accelerator.is_main_process
        contents = {name: gathered(content, writes) for name, content in contents.items()}
        if not writes:
            return
    new, old = _aside(folder, "new"), _aside(folder, "old")
    remove(folder, but=folder)
    try:
        if run.best:
            contents[_BEST] = run.best
        for name, content in contents.items():
            atomic_write_tensors(new / name, content)
        document["files"] = {name: file_digest(new / name) for name in contents}
        atomic_write_text(new / _LAST, json.dumps({**document, "digest": _digest(document)}))
    except BenchError:
        shutil.rmtree(new, ignore_errors=True)  # a full disk needs the room
        raise
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def changing(run: TrainingContext, method: Method) -> dict[str, Tensor]:
    """The network's weights, but for those that the method leaves at θ0."""
    named = run.net.named_parameters()
    return {n: p.detach() for n, p in named if p.requires_grad or not method.leaves_theta0}


def settle(folder: Path) -> str | None:
    """Put the newest whole checkpoint at `folder`, after a crash at whatever moment, and delete
    what is beside it. Where there are only damaged ones they go, too: returns what is wrong."""
    damage = None
    for place in (_aside(folder, "new"), folder, _aside(folder, "old")):
        if not is_there(place):
            continue
        if problem := _problem(place):
            damage = damage or unusable(place, problem)
            continue
        if place != folder:
            shutil.rmtree(folder, ignore_errors=True)
            place.rename(folder)
        remove(folder, but=folder)
        return None
    remove(folder)
    return damage


def is_there(folder: Path) -> bool:
    """Whether a checkpoint was written at `folder` to its end."""
    return (folder / _LAST).is_file()


def unusable(folder: Path, reason: str) -> str:
    """What is said of a checkpoint that nothing can go on from."""
    return f"the checkpoint {folder} cannot be used ({reason})"


def load(folder: Path, run: TrainingContext, method: Method) -> Any:
    """Put method state and step back; returns the document for `restore`."""
    from safetensors.torch import load_file

    document = json.loads((folder / _LAST).read_text(encoding="utf-8"))
    # of several processes on a CPU, accelerate calls each one's "cpu:0", which safetensors refuses
    device = "cpu" if run.device.type == "cpu" else str(run.device)
    method.load_state_dict(load_file(folder / "method.safetensors", device=device))
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
            if parameter.requires_grad or name in weights:
                parameter.copy_(run.placed(weights[name], parameter))
    if _BEST in document["files"]:
        run.best = load_file(folder / _BEST)
    if run.step == run.steps:
        return document["extra"]
    state: dict[int, dict[str, Any]] = {}
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for key, value in load_file(folder / "optimizer.safetensors").items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = run.placed(value, parameters[int(index)])
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


def _problem(place: Path) -> str | None:
    """What keeps the files at `place` from being one checkpoint as it was written."""
    try:
        document = json.loads((place / _LAST).read_text(encoding="utf-8"))
        if document.pop("digest") != _digest(document):
            return f"{_LAST} is not as it was written"
        wrong = (n for n, d in document["files"].items() if file_digest(place / n) != d)
        name = next(wrong, None)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        return f"{type(error).__name__}: {error}".partition("\n")[0]
    return None if name is None else f"{name} is damaged, or another checkpoint's"


def _digest(document: dict[str, Any]) -> str:
    """sha256 of a document, the same before it is written and after it was read."""
    return hashlib.sha256(json.dumps(document).encode()).hexdigest()


def _flatten(state: dict[int, dict[str, Any]]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Optimizer state as tensors and plain values, keyed `INDEX.NAME`."""
    import torch

    flat = {f"{i}.{name}": value for i, entry in state.items() for name, value in entry.items()}
    tensors = {key: value for key, value in flat.items() if isinstance(value, torch.Tensor)}
    return tensors, {key: value for key, value in flat.items() if key not in tensors}
