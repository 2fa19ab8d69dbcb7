"""The Hugging Face hub when there is no network: an answer within seconds, from the cache or in
one line, where the libraries alone would retry for half a minute."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from bench.core.errors import BenchError

PATIENCE = 2.0  # seconds; with the imports that follow, the answer stays under five


@contextmanager
def hub_access(what: str, instead: str) -> Iterator[None]:
    """Load `what` from the hub inside this block; without network, from the local cache alone.

    `instead` says in the imperative what a user without network can do.

    Raises:
        BenchError: whatever the block raised, in one line.
    """
    offline = _why_offline()
    try:
        yield
    except BenchError:
        raise
    except Exception as error:  # the hub's libraries raise half a dozen unrelated types
        if offline is None:
            cause = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
            raise BenchError(f"loading {what} from the hub fails: {cause}") from error
        raise BenchError(
            f"{offline}, and {what} cannot be loaded from this machine's cache: {instead}, or run "
            "this once with a connection to fill the cache."
        ) from error


@functools.cache
def _why_offline() -> str | None:
    """Why the hub is out of reach, or None. Asked once a process, so a grid waits only once."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    if _answers(constants.ENDPOINT):
        return None
    # The switch that the variable sets, which transformers and datasets read through this module:
    # from here on they look into their caches and do not try the network.
    constants.HF_HUB_OFFLINE = True
    return f"{constants.ENDPOINT} is out of reach"


def _answers(url: str) -> bool:
    """Whether a server answers at `url`, through the libraries' own client (proxies, certificates).

    A thread, because a time-out of the client bounds neither the name lookup nor the sum over a
    host's addresses.
    """
    from huggingface_hub import get_session

    answered = threading.Event()

    def ask() -> None:
        try:
            status = get_session().head(url, timeout=PATIENCE, follow_redirects=False).status_code
        except Exception:  # refused, unknown host, no route, certificate: all mean "no"
            return
        if status < 500:
            answered.set()

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return answered.is_set()
