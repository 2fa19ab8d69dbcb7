"""Where cells are computed: what was asked for, whether it is there, and whether it can do that."""

from __future__ import annotations

import os
import platform
import sys
from functools import cache
from typing import TypeVar

from bench.cells.recipe import Training
from bench.core.errors import BenchError
from bench.core.machine import (
    cores,
    gpu_bytes,
    gpu_capabilities,
    gpu_names,
    gpus,
    torch_finds_gpus,
    total_bytes,
)

T = TypeVar("T")
_NEWER = 8.0  # compute capability from which NVIDIA's GPUs know bfloat16 and TF32
_GIB = 2**30


@cache  # its second call would number the GPUs that the first has left
def use(device: str | None) -> None:
    """Let this process, and those that it starts, see only the device `cpu`, `cuda` (all GPUs),
    `cuda:1` (that one of those that CUDA_VISIBLE_DEVICES leaves) or `mps`; None: what there is.

    Raises:
        BenchError: there is no such device, or it is too late to choose.
    """
    if device is None:
        return
    kind, colon, number = device.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (colon and not (kind == "cuda" and number.isdigit())):
        raise BenchError(f"--device {device!r} is none of cpu, cuda, cuda:N, mps.")
    if kind == "mps" and not _is_apples():
        raise BenchError(f"--device mps: Apple's GPUs are not on {platform.system()}.")
    visible, seen = gpus(), os.environ.get("CUDA_VISIBLE_DEVICES")
    among = "" if seen is None else f" (CUDA_VISIBLE_DEVICES={seen})"
    if kind == "cuda" and int(number or 0) >= len(visible):
        several = f"there are {len(visible)}, from cuda:0 on"
        there = {0: "there is no GPU", 1: "there is cuda:0 alone"}.get(len(visible), several)
        raise BenchError(f"--device {device}: {there}{among}.")
    if kind == "cuda" and not gpu_names() and not torch_finds_gpus():  # no nvidia-smi, as in some
        raise BenchError(f"--device {device}: torch finds no GPU{among}.")  # containers
    if kind == "mps":
        return
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        raise BenchError(f"--device {device}: this process uses a GPU already; start a new one.")
    if kind == "cpu":
        os.environ |= {"CUDA_VISIBLE_DEVICES": "", "ACCELERATE_USE_CPU": "true"}
    elif number:
        os.environ["CUDA_VISIBLE_DEVICES"] = visible[int(number)]


def check(recipe: Training) -> None:
    """Raises BenchError where the recipe asks for arithmetic that a GPU here lacks."""
    wanted = {
        "train.precision=bfloat16": recipe.precision == "bfloat16",
        "train.scoring=bfloat16": recipe.scoring == "bfloat16",
        "train.weights=bfloat16": recipe.weights == "bfloat16",
        "train.tf32=true": recipe.tf32,
    }
    both = zip(_mine(gpu_names()), _mine(gpu_capabilities()), strict=False)
    old = [name for name, capability in both if capability < _NEWER]
    for word in (word for word, asked in wanted.items() if asked and old):
        raise BenchError(
            f"{word}: {old[0]} has no such arithmetic; GPUs of compute capability {_NEWER:g} have."
        )
    if recipe.tf32 and not gpus():
        raise BenchError("train.tf32=true is for NVIDIA's GPUs, and there is none here.")


def told() -> str:
    """What cells are computed on, for a plan: "cpu, 2 cores, 23.5 GiB"."""
    if not gpus():
        if _is_apples() and os.environ.get("ACCELERATE_USE_CPU") != "true":
            return "mps"
        room = total_bytes()
        return f"cpu, {cores()} cores" + (f", {room / _GIB:.1f} GiB" if room else "")
    sizes = [f"{size / _GIB:.0f} GiB" for size in _mine(gpu_bytes())]
    names = [", ".join(pair) for pair in zip(_mine(gpu_names()), sizes, strict=False)]
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if not names:
        return f"CUDA_VISIBLE_DEVICES={seen}, of which nothing more is known"
    chosen = "" if seen is None else f"; CUDA_VISIBLE_DEVICES={seen}"
    return "; ".join(f"cuda:{i} ({name})" for i, name in enumerate(names)) + chosen


def _mine(values: list[T]) -> list[T]:
    """Of values for all GPUs those of the visible ones; of UUIDs nobody knows the number."""
    numbers = [int(name) for name in gpus() if name.isdigit()]
    return [values[number] for number in numbers if number < len(values)]


def _is_apples() -> bool:
    return (sys.platform, platform.machine()) == ("darwin", "arm64")
