"""SIGTERM and Ctrl-C as errors, wherever the process is."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

from bench.core.errors import TerminatedError

_AGAIN_SECONDS = 0.05


def catch_stops() -> None:
    """Let SIGTERM and Ctrl-C end what runs, unless the shell has Ctrl-C ignored."""
    signal.signal(signal.SIGTERM, _stop)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _stop)


def _stop(number: int, frame: FrameType | None) -> None:
    """End what runs, but no import: a package that is half imported (numpy) may swallow the error,
    and then fails every cell. The signal comes again until the import is over."""
    if _imports(frame):
        again = threading.Timer(_AGAIN_SECONDS, os.kill, (os.getpid(), number))
        again.daemon = True
        again.start()
        return
    raise KeyboardInterrupt if number == signal.SIGINT else TerminatedError(128 + number)


def _imports(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
