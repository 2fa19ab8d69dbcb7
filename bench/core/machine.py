"""What this machine lets a process use: cores, GPUs, memory."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_MEMORY = Path("/proc/meminfo")
_LIMIT = Path("/sys/fs/cgroup/memory.max")


def cores() -> int:
    """Those that this process may run on, and no more than a container's quota."""
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        count = os.cpu_count() or 1
    try:
        quota, period = _QUOTA.read_text().split()
        return max(1, min(count, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):  # no container; "max"
        return count


def gpus() -> list[str]:
    """NVIDIA's, by what CUDA_VISIBLE_DEVICES calls them; without torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name.strip() not in ("", "-1")]
    return [str(number) for number in range(len(gpu_names()))]


def gpu_names() -> list[str]:
    """What NVIDIA's GPUs are, all of them; without torch."""
    return _asked_of_gpus("name")


def torch_finds_gpus() -> bool:
    """Whether torch does, by a process of its own: this one is still to choose among them."""
    asked = "import torch; print(torch.cuda.is_available())"
    done = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() == "True"


def _asked_of_gpus(what: str) -> list[str]:
    """What nvidia-smi says of each GPU."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return []
    query = [command, f"--query-gpu={what}", "--format=csv,noheader,nounits"]
    found = subprocess.run(query, capture_output=True, text=True, check=False, timeout=10)
    return found.stdout.strip().splitlines() if found.returncode == 0 else []


def gpu_capabilities() -> list[float]:
    """The compute capability of each of NVIDIA's GPUs, all of them; without torch."""
    return [float(found) for found in _asked_of_gpus("compute_cap")]


def gpu_bytes() -> list[int]:
    """How much memory each of NVIDIA's GPUs has, all of them; without torch."""
    return [int(mib) * 2**20 for mib in _asked_of_gpus("memory.total") if mib.isdigit()]


def available_bytes() -> int | None:
    """Memory that processes can still have; None where the system cannot tell."""
    return _memory("MemAvailable:")


def total_bytes() -> int | None:
    """Memory that processes have in all, in a container no more than its limit; None where the
    system cannot tell."""
    whole = _memory("MemTotal:")
    try:
        limit = int(_LIMIT.read_text())
    except (OSError, ValueError):  # no container; "max"
        return whole
    return limit if whole is None else min(whole, limit)


def _memory(key: str) -> int | None:
    try:
        lines = _MEMORY.read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(x.split()[1]) for x in lines if x.startswith(key)), None)
