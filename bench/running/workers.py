"""How many cells may run at once."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.cells.cell import AnyCell, ModelInfo, TaskSequence
from bench.core.errors import BenchError
from bench.core.machine import available_bytes, cores, gpu_names, gpus
from bench.core.memory import IMPORTED_MIB
from bench.planning.options import Executor
from bench.running.sharing import processes

ON_SLURM = 8  # jobs, unless --jobs says how many
_COPIES = 6  # of the weights: gradients, two moments, what a method keeps, a copy to save


def how_many(
    asked: int | None,
    cells: Sequence[AnyCell],
    per_gpu: int | None = None,
    executor: Executor = "local",
) -> int:
    """Workers for these cells: those asked for, or what the machine allows; no more than cells.

    Left open, there is one for each GPU, or `per_gpu`; without any, one for each core
    (OMP_NUM_THREADS says that there are fewer), as far as memory reaches. On a cluster, as many as
    it has places, or `ON_SLURM` jobs.

    Raises:
        BenchError: more are asked for than there are cores or GPUs, beside accelerate's processes,
            or where processes cannot be forked.
    """
    if executor != "local":
        most = len(cells) if executor == "ray" else ON_SLURM
        return max(1, min(asked or most, len(cells)))
    _check_gpus(asked, per_gpu)
    if asked is not None and asked > 1:
        _check(asked)
    wanted = _allowed(cells, per_gpu or 1) if asked is None else asked
    return max(1, min(wanted, len(cells)))


def _check_gpus(asked: int | None, per_gpu: int | None) -> None:
    devices, there = gpus(), len(gpu_names())
    absent = [name for name in devices if name.isdigit() and 0 < there <= int(name)]
    if absent:
        raise BenchError(f"CUDA_VISIBLE_DEVICES names GPU {absent[0]}, and there are {there}.")
    if per_gpu is not None and not devices:
        raise BenchError(f"--per-gpu {per_gpu}: there is no GPU here.")
    most = len(devices) * (per_gpu or 1)
    if devices and asked is not None and asked > most:
        packed = -(-asked // len(devices))
        raise BenchError(
            f"--jobs {asked}: {len(devices)} GPU{'s' * (len(devices) > 1)} of {per_gpu or 1} at a "
            f"time take {most}; --per-gpu {packed} packs more, where their memory has room."
        )


def _check(asked: int) -> None:
    if asked > cores():
        raise BenchError(f"--jobs {asked}: a worker takes a core, and there are {cores()}.")
    if processes() > 1:
        raise BenchError(f"--jobs {asked}: accelerate's processes share each cell; leave it out.")
    if not hasattr(os, "fork"):
        raise BenchError(f"--jobs {asked}: this system cannot fork processes; leave it out.")


def _allowed(cells: Sequence[AnyCell], per_gpu: int) -> int:
    if processes() > 1 or not hasattr(os, "fork"):
        return 1
    if devices := len(gpus()):
        return min(devices * per_gpu, cores())
    threads = os.environ.get("OMP_NUM_THREADS", "")
    limit = min(cores(), int(threads)) if threads.isdigit() else cores()
    sizes, free = [_weights(model) for model in _models(cells)], available_bytes()
    if free is None:
        return limit
    if 0 in sizes:  # not on this machine yet: one process fetches them
        return 1
    return min(limit, int(free / (IMPORTED_MIB * 2**20 + _COPIES * max(sizes, default=0))))


def _models(cells: Iterable[AnyCell]) -> list[ModelInfo]:
    """The models that cells start from, each once."""
    starts = [cell.stages[0] if isinstance(cell, TaskSequence) else cell for cell in cells]
    return list({cell.model.hash: cell.model for cell in starts}.values())


def _weights(model: ModelInfo) -> int:
    """Bytes of a model's files on this machine; 0 where there are none."""
    return sum(path.stat().st_size for path in _files(model))


def parameters(model: ModelInfo) -> int:
    """How many numbers a model's files on this machine hold; 0 where there are none."""
    return sum(math.prod(shape) for path in _files(model) for shape in _shapes(path))


def _files(model: ModelInfo) -> list[Path]:
    folder = Path(model.source)
    if not folder.is_dir():
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import LocalEntryNotFoundError

        try:
            folder = Path(
                snapshot_download(model.source, revision=model.revision, local_files_only=True)
            )
        except LocalEntryNotFoundError:
            return []
    return sorted(folder.glob("*.safetensors"))


def _shapes(path: Path) -> list[list[int]]:
    """Of the tensors in a file of safetensors, by its head, which was checked when the model was
    described."""
    with path.open("rb") as file:
        head = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return [tensor["shape"] for name, tensor in head.items() if name != "__metadata__"]
