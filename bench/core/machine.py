"""What this machine lets a process use: cores, GPUs, memory."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_MEMORY = Path("/proc/meminfo")


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
    command = shutil.which("nvidia-smi")
    if command is None:
        return []
    query = [command, "--query-gpu=name", "--format=csv,noheader"]
    found = subprocess.run(query, capture_output=True, text=True, check=False, timeout=10)
    return found.stdout.strip().splitlines() if found.returncode == 0 else []


def available_bytes() -> int | None:
    """Memory that processes can still have; None where the system cannot tell."""
    try:
        lines = _MEMORY.read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(x.split()[1]) for x in lines if x.startswith("MemAvailable:")), None)
