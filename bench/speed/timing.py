"""Contenders that take turns, the clock they run against, and what they take of the memory."""

from __future__ import annotations

import ctypes
import gc
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


def alternate(contenders: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """What each contender returns (such as seconds) in each round, after one round that does not
    count; another one goes first in every round."""
    names = list(contenders)
    found: dict[str, list[T]] = {name: [] for name in names}
    for number in range(rounds + 1):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            one = contenders[name]()
            if number:
                found[name].append(one)
        print(f"round {number} of {rounds}", file=sys.stderr)
    return found


def compared(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """Our speed over theirs from seconds, paired by round: `ratio` (median), `low` and `high`."""
    found = [their / our for our, their in zip(ours, theirs, strict=True)]
    return {"ratio": statistics.median(found), "low": min(found), "high": max(found)}


def timed(work: Callable[[], object], clock: str) -> float:
    """Seconds that a call takes, by the clock "wall" or "cpu", to the end of what it gave a GPU."""
    import torch

    now = time.process_time if clock == "cpu" else time.perf_counter
    gc.collect()
    start = now()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return now() - start


def growth_mib(work: Callable[[], object]) -> float | None:
    """How far the memory in use rises during a call above what it was before, at its peak, in MiB:
    of the GPU's allocations, or of this process; None where the system does not tell."""
    from bench.core.memory import peak_memory_mib, reset_peak_memory

    gc.collect()
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)  # what was freed but kept would hide what is taken now
    reset_peak_memory()
    before = peak_memory_mib()  # the peak is what is in use, now that it is reset
    work()
    after = peak_memory_mib()
    return None if before is None or after is None else after - before
