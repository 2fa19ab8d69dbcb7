"""The hub out of reach, in each way a network fails: an answer in seconds, in one line."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from huggingface_hub import constants

from bench.core import hub
from bench.core.errors import BenchError


@pytest.fixture(autouse=True)
def _own_state(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is learnt of the network, and the switch that follows, last for one test only."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    hub._why_offline.cache_clear()
    yield
    hub._why_offline.cache_clear()


@contextmanager
def server(status: int) -> Iterator[str]:
    """A server on this machine that answers every HEAD with `status`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(status)
            self.send_header("Location", "http://127.0.0.1:1")  # nobody; not to be followed
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@contextmanager
def nobody() -> Iterator[str]:
    """A port that refuses: bound, never listened on."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@contextmanager
def blackhole() -> Iterator[str]:
    """A port that takes the connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield f"http://127.0.0.1:{silent.getsockname()[1]}"


@contextmanager
def slow_names(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A name server that does not answer, which no time-out of a connection covers."""
    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", lambda *args, **options: time.sleep(20))
        yield "http://hub.invalid"


def load(message: str = "not cached\nand more") -> None:
    with hub.hub_access("the model x/y", "give a folder"):
        raise OSError(message)


@pytest.mark.parametrize("kind", ["nobody", "blackhole", "slow names", "503"])
def test_out_of_reach_is_one_line_within_five_seconds(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = {
        "nobody": nobody(),
        "blackhole": blackhole(),
        "slow names": slow_names(monkeypatch),
        "503": server(503),
    }
    with places[kind] as endpoint:
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        start = time.monotonic()
        with pytest.raises(BenchError) as caught:
            load()
        first = time.monotonic() - start
        with pytest.raises(BenchError) as again:
            load()
        second = time.monotonic() - start - first
    assert first < 3
    assert second < 0.2  # a process asks once
    assert str(again.value) == str(caught.value)
    assert str(caught.value) == (
        f"{endpoint} is out of reach, and the model x/y cannot be loaded from this machine's "
        "cache: give a folder, or run this once with a connection to fill the cache."
    )


def test_out_of_reach_still_loads_what_is_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    with nobody() as endpoint:
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        with hub.hub_access("the model x/y", "give a folder"):
            assert constants.is_offline_mode()  # the libraries look into their caches at once


@pytest.mark.parametrize("status", [200, 307, 403, 404])
def test_any_answer_of_a_server_counts(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with server(status) as endpoint:
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        with pytest.raises(BenchError, match=r"^loading the model x/y from the hub fails: OSError"):
            load()
    assert not constants.is_offline_mode()


def test_the_variable_is_obeyed_without_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub, "_answers", lambda url: pytest.fail("asked the network"))
    with pytest.raises(BenchError, match=r"^HF_HUB_OFFLINE is set, and the model x/y cannot"):
        load()


def test_a_clear_error_passes_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(BenchError, match=r"^of its own$"), hub.hub_access("x", "y"):
        raise BenchError("of its own")
