"""SIGTERM and Ctrl-C as errors, wherever the process is."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from types import FrameType

from bench.core.errors import TerminatedError

_AGAIN_SECONDS = 0.05
_ONE_WISH_SECONDS = 1.0
_last = -math.inf


def catch_stops() -> None:
    """Let SIGTERM and Ctrl-C end what runs, unless the shell has Ctrl-C ignored. Signals that come
    within a second of one that ends it are the same wish: a key that was pressed twice, a scheduler
    that tells every process what the first one tells them, too."""
    global _last
    _last = -math.inf
    signal.signal(signal.SIGTERM, _stop)
    if signal.getsignal(signal.SIGINT) in (signal.default_int_handler, _ignore):
        signal.signal(signal.SIGINT, _stop)


def ignore_stops() -> None:
    """Let nothing disturb the rest, which is only to say that it was stopped, and to leave."""
    for number in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(number) is _stop:
            signal.signal(number, _ignore)


def is_new_wish() -> bool:
    """Whether a signal, which came just now, is more than another word of the last one."""
    global _last
    now = time.monotonic()
    new = now - _last > _ONE_WISH_SECONDS
    _last = now if new else _last
    return new


def error_of(number: int) -> BaseException:
    """What a signal to stop raises."""
    return KeyboardInterrupt() if number == signal.SIGINT else TerminatedError(128 + number)


def _stop(number: int, frame: FrameType | None) -> None:
    """End what runs, but no import: a package that is half imported (numpy) may swallow the error,
    and then fails every cell; nor what Python does when an object goes, where an error is only
    printed. The signal comes again until that is over."""
    if _would_be_lost(frame):
        again = threading.Timer(_AGAIN_SECONDS, os.kill, (os.getpid(), number))
        again.daemon = True
        again.start()
    elif is_new_wish():
        raise error_of(number)


def _ignore(number: int, frame: FrameType | None) -> None:
    """Go on."""


def _would_be_lost(frame: FrameType | None) -> bool:
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith("<frozen importlib") or code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False
