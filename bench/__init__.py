"""Does forgetting help or hurt fine-tuning? `compare` methods on tasks; plug in your own.

Everything that a plug-in or a notebook needs is here, and is imported when it is first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from bench.core.version import SUITE_VERSION

if TYPE_CHECKING:
    from bench.api import compare, load
    from bench.core.errors import BenchError
    from bench.core.settings import Range, setting
    from bench.rows.task import Files, Task, register_task
    from bench.training.method import Card, Keeps, Method, Reads, register_method

__version__ = SUITE_VERSION

_HOME = {
    "BenchError": "bench.core.errors",
    "Card": "bench.training.method",
    "Files": "bench.rows.task",
    "Keeps": "bench.training.method",
    "Method": "bench.training.method",
    "Range": "bench.core.settings",
    "Reads": "bench.training.method",
    "Task": "bench.rows.task",
    "compare": "bench.api",
    "load": "bench.api",
    "register_method": "bench.training.method",
    "register_task": "bench.rows.task",
    "setting": "bench.core.settings",
}

__all__ = [
    "BenchError",
    "Card",
    "Files",
    "Keeps",
    "Method",
    "Range",
    "Reads",
    "Task",
    "compare",
    "load",
    "register_method",
    "register_task",
    "setting",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'bench' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
