"""Lengths of time as people write and read them, and the moment at which a run must end."""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass

from bench.core.errors import BenchError

_UNITS = {"d": 86_400, "h": 3600, "m": 60, "s": 1}
_PARTS = re.compile(r"(\d+(?:\.\d+)?)([dhms])")
_RESERVE = 0.02  # of a limit, for the checkpoints of what is stopped ...
_MOST_RESERVE = 60.0  # ... and never more seconds


def clock(seconds: float) -> str:
    """`1:02:03`, `2:03` or `9 s`."""
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02d}:{rest:02d}"
    return f"{minutes}:{rest:02d}" if minutes else f"{rest} s"


def seconds_of(text: str, option: str) -> float:
    """`2h`, `90m`, `1h30m` or `3600` in seconds; `option` is who asks.

    Raises:
        BenchError: it is no length of time, or none that is longer than nothing.
    """
    plain = f"{text}s" if re.fullmatch(r"\d+(\.\d+)?", text) else text
    parts = _PARTS.findall(plain)
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if "".join(map("".join, parts)) != plain or not 0 < seconds < math.inf:
        raise BenchError(f"{option} {text!r} is not a length of time such as 2h, 90m or 3600.")
    return seconds


@dataclass(frozen=True)
class Deadline:
    """The moment at which a run must end, by the clock of this machine."""

    whole: float = math.inf  # seconds from its beginning
    end: float = math.inf  # on time.monotonic()

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """That of a run that begins now; a little is kept for writing checkpoints."""
        whole = seconds - min(_RESERVE * seconds, _MOST_RESERVE)
        return cls(whole, time.monotonic() + whole)

    @property
    def left(self) -> float:
        """Seconds, negative once it is over."""
        return self.end - time.monotonic()

    def fits(self, seconds: float | None) -> bool:
        """Whether what takes so long (None: nobody knows) may begin. What is longer than a whole
        run would never begin, so it may in the first half, and goes on in the next run."""
        if seconds is None:
            return self.left > 0
        return seconds <= self.left or (seconds > self.whole and self.left > self.whole / 2)


NEVER = Deadline()
