"""Chromium without a window, driven by its own protocol."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
_SECONDS = 60


def found() -> str | None:
    """The program, where there is one, and what speaks to it."""
    try:
        import aiohttp  # noqa: F401
    except ImportError:
        return None
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One page. `errors` are what its console and its policy have complained of."""

    def __init__(self, folder: Path) -> None:
        program = found()
        assert program, "there is no Chromium"
        words = [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        words += ["--remote-debugging-port=0", f"--user-data-dir={folder}", "about:blank"]
        self.process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr
        line = next(line for line in self.process.stderr if "DevTools listening" in line)
        self.port = int(line.rsplit(":", 1)[1].split("/")[0])
        self.errors: list[str] = []
        self.loop = asyncio.new_event_loop()
        self.number = 0
        self._run(self._connect())

    async def _connect(self) -> None:
        import aiohttp

        self.session = aiohttp.ClientSession()
        async with self.session.get(f"http://127.0.0.1:{self.port}/json") as answer:
            pages = [one for one in await answer.json() if one["type"] == "page"]
        self.socket = await self.session.ws_connect(
            pages[0]["webSocketDebuggerUrl"], max_msg_size=0
        )
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self._send(f"{domain}.enable")

    def _run(self, work: Any) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(work, _SECONDS))

    async def _send(self, method: str, until: str = "", **given: Any) -> Any:
        """What a command answers, once an event `until` has come, too."""
        self.number += 1
        number, answer, waiting = self.number, None, until
        await self.socket.send_json({"id": number, "method": method, "params": given})
        while answer is None or waiting:
            said = json.loads((await self.socket.receive()).data)
            self._note(said)
            if said.get("id") == number:
                answer = said
            if said.get("method") == until:
                waiting = ""
        return answer.get("result", answer)

    def _note(self, said: dict[str, Any]) -> None:
        kind, what = said.get("method"), said.get("params", {})
        if kind == "Runtime.exceptionThrown":
            self.errors.append(str(what["exceptionDetails"]))
        elif kind == "Log.entryAdded" and what["entry"]["level"] in ("error", "warning"):
            self.errors.append(what["entry"]["text"])
        elif kind == "Network.requestWillBeSent" and not what["request"]["url"].startswith("file:"):
            self.errors.append(f"asked for {what['request']['url'][:100]}")

    def open(self, path: Path, width: int = 1400, dark: bool = False) -> None:
        """Load a page into a window of this width."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=900,
                  deviceScaleFactor=1, mobile=width < 500)  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
        self._run(self._send("Page.navigate", "Page.loadEventFired", url=path.as_uri()))

    def send(self, method: str, **given: Any) -> Any:
        """One command of the protocol."""
        return self._run(self._send(method, **given))

    def ask(self, script: str) -> Any:
        """The value of an expression on the page."""
        said = self.send("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in said, said
        return said["result"].get("value")

    def press(self, *keys: str) -> None:
        """Keys, one after the other: Tab, Enter, Space, or a character."""
        for key in keys:
            text = {"Enter": "\r", "Space": " "}.get(key, key if len(key) == 1 else "")
            given = {"key": " " if key == "Space" else key, "code": key}
            if key in _CODES:
                given["windowsVirtualKeyCode"] = _CODES[key]  # type: ignore[assignment]
            self.send("Input.dispatchKeyEvent", type="keyDown", text=text, **given)
            self.send("Input.dispatchKeyEvent", type="keyUp", **given)

    def shoot(self, path: Path, clip: Sequence[int] | None = None) -> None:
        """Keep a picture of the whole page, or of x, y, width, height of it."""
        area = {}
        if clip:
            names = ("x", "y", "width", "height")
            area = {"clip": {**dict(zip(names, clip, strict=True)), "scale": 1}}
        said = self.send("Page.captureScreenshot", captureBeyondViewport=True, **area)
        path.write_bytes(base64.b64decode(said["data"]))

    def close(self) -> None:
        """End it."""
        self._run(self.session.close())
        self.loop.close()
        self.process.terminate()
        self.process.wait(10)


_CODES = {"Tab": 9, "Enter": 13, "Space": 32}


@contextlib.contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser that ends with its block."""
    one = Browser(folder)
    try:
        yield one
    finally:
        one.close()
