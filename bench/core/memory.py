"""How much memory is in use, of a GPU, or without one of this process; in MiB."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass
from pathlib import Path

IMPORTED_MIB = 460.0  # of a process beside its model and what that computes, measured
_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Place:
    """Where cells are to have room: what is there for a process."""

    name: str
    on_gpu: bool
    room: int | None  # bytes; None where nobody knows
    over: int = 1  # processes, over which weights are cut while a cell trains


@dataclass(frozen=True)
class Footprint:
    """What a process takes for a cell at its peak, in bytes by what they are for: on a GPU, or
    without one in this machine's memory."""

    at: str  # when that is: prepare, train or score; where weights are cut, cut or save, too
    weights: float
    gradients: float
    moments: float  # and the float32 copies of narrow weights
    theta0: float
    importance: float  # F, Ω, masks
    star: float  # θ*, or a mixture
    teacher: float
    passes: float  # activations, logits and what else a pass takes for a while
    process: float  # beside all that, gaps between blocks of memory among it
    host: float  # of the machine's memory, beside a GPU's
    operations: float  # of its training, floating-point
    over: int = 1  # processes, over which weights are cut

    @property
    def device(self) -> float:
        """All of it where the weights lie."""
        copies = self.weights + self.gradients + self.moments + self.theta0 + self.importance
        return copies + self.star + self.teacher + self.passes + self.process


def release_memory() -> None:
    """Give back to the system, or to other processes on the GPU, what the allocator only keeps."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
        if trim is not None:
            trim(0)


def reset_peak_memory() -> None:
    """Start a new peak for `peak_memory_mib`, where the system can."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    elif _CLEAR.exists():
        _CLEAR.write_text("5")


def memory_mib() -> float | None:
    """What is in use now; None where the system cannot tell."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.memory_allocated() / 2**20
    return _of_process("VmRSS")


def peak_memory_mib() -> float | None:
    """The peak since the reset; None where the system cannot tell."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return _of_process("VmHWM")


def above(loaded: float | None) -> float | None:
    """How far the peak since the reset lies above `loaded`."""
    peak = peak_memory_mib()
    return None if peak is None or loaded is None else max(0.0, peak - loaded)


def higher(one: float | None, other: float | None) -> float | None:
    """The higher of two figures, or the one that is known."""
    known = [value for value in (one, other) if value is not None]
    return max(known, default=None)


def training_mib(
    parameters: int, hidden: int, copies: float, batch: int, length: int, on_gpu: bool
) -> float:
    """What training takes by arithmetic, float32: `copies` of the weights (itself, gradients, two
    moments, what a method keeps), the activations of `batch` rows of `length` tokens, and what a
    process has before its model, unless that is on a GPU.

    A layer keeps 17 values of each hidden unit and token, and 2.5 of each head and pair of tokens
    (Korthikanti et al. 2022, arXiv 2205.05198); a head has 64 units, and parameters are 12 layers'
    worth of hidden².
    """
    weights = 4 * parameters * copies
    units = parameters / (12 * hidden) if hidden else 0.0  # layers times hidden
    activations = 4 * batch * length * units * (17 + 2.5 * length / 64)
    return (weights + activations) / 2**20 + (0.0 if on_gpu else IMPORTED_MIB)


def _of_process(key: str) -> float | None:
    if not _STATUS.is_file():
        return None
    lines = _STATUS.read_text().splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(key)), None)
