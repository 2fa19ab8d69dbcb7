"""SIGINT and SIGTERM while weights move: collected, and acted on behind the step."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

from bench.core.stops import error_of, is_new_wish


@contextlib.contextmanager
def deferred_signals(caught: list[BaseException], notice: Callable[[], None]) -> Iterator[None]:
    """Collect SIGINT and SIGTERM in `caught` instead of acting on them, and give `notice`; another
    one, a second later or more, acts at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    def note(number: int, frame: Any) -> None:
        new = is_new_wish()
        if not caught:
            caught.append(error_of(number))
            notice()
        elif new:
            raise error_of(number)

    for number in previous:
        signal.signal(number, note)
    try:
        yield
    except Exception as error:
        if not caught:
            raise
        # a terminal's Ctrl-C also ends what the step waits for, a compiler: no failure
        raise caught[0] from error
    finally:
        restore()
