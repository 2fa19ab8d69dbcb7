"""Where a result comes from: the code, the packages, the machine."""

from __future__ import annotations

import datetime
import os
import platform
import re
import subprocess
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from bench.core.machine import gpu_names
from bench.core.version import SUITE_VERSION

DISTRIBUTION = "forgetting-bench"
_PACKAGES = ("torch", "transformers", "accelerate", "datasets", "numpy")


@lru_cache(maxsize=1)
def provenance() -> dict[str, Any]:
    """Commit and dirty flag of this code, package versions, hardware, time of the start (UTC)."""
    import torch

    commit, dirty = _git()
    cuda = torch.cuda.is_available()
    return {
        "commit": commit,
        "dirty": dirty,
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        if cuda
        else [],
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def environment() -> dict[str, str]:
    """What this code runs on, by name and in words. Nothing heavy is imported to say it."""
    commit, dirty = _git()
    changed = " with changes" if dirty else ""
    lines = {
        DISTRIBUTION: f"{SUITE_VERSION}{f', commit {commit[:12]}{changed}' if commit else ''}",
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": f"{processor()}, {os.cpu_count()} cores",
        "gpu": ", ".join(gpu_names()) or "none (as nvidia-smi says)",
    }
    extras: dict[str, list[str]] = {}
    for requirement in _requirements():
        name = re.split(r"[^\w.-]", requirement)[0]
        extra = re.search(r'extra == "([\w-]+)"', requirement)
        if extra is None:
            lines[name] = _version(name) or "missing"
        else:
            extras.setdefault(extra[1], []).append(name)
    for extra_name, names in extras.items():
        missing = [name for name in names if _version(name) is None]
        found = f"not installed: {', '.join(missing)}" if missing else "installed"
        lines[f"[{extra_name}]"] = found
    return lines


def _requirements() -> list[str]:
    """What the suite's package asks for; nothing where it runs from a folder, uninstalled."""
    try:
        return requires(DISTRIBUTION) or []
    except PackageNotFoundError:
        return []


def _git() -> tuple[str | None, bool | None]:
    """(commit, whether files differ from it) of the checkout this code runs from, if any."""
    here = Path(__file__).resolve().parents[2]
    if not (here / ".git").exists():
        return None, None
    command = ["git", "-C", str(here)]
    try:
        commit = subprocess.run(
            [*command, "rev-parse", "HEAD"], capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()
        changes = subprocess.run(
            [*command, "status", "--porcelain", "--untracked-files=no"],
            capture_output=True, text=True, check=True, timeout=10,
        ).stdout  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None, None
    return commit, bool(changes.strip())


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def processor() -> str:
    """The processor's name."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
