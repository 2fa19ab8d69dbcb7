"""A lock in a folder that processes and machines share: it names its holder and dies with it."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from filelock import LeaseSettingsMismatch, SoftFileLease, Timeout

from bench.core.errors import BenchError
from bench.core.files import is_running, unwritable

SECONDS = 120.0  # without a sign of life, and another process takes it; the same for all of them
_HEARTBEAT = 10.0


class Lease:
    """A file that holds its owner's process and host, and whose time moves every ten seconds.

    An owner that has died on this machine is replaced at once. One that shows no sign of life for
    `SECONDS` (stopped, or on a machine that is gone) is replaced, too, so a lease is a hint: it may
    go on one day, and finds that its lease is `lost`. Silence is measured by the observer's own
    clock, so a clock that jumps, or another machine's that is wrong, does no harm.
    """

    def __init__(self, path: Path) -> None:
        self._lease = SoftFileLease(path, lease_duration=SECONDS, heartbeat_interval=_HEARTBEAT)
        self._path = path
        self._seen: tuple[float, float] | None = None  # the file's time, when we first saw it

    def take(self) -> bool:
        """Whether this process has it now; asks once, and does not wait.

        Raises:
            BenchError: its folder cannot be written; its holder thinks that silence is shorter, or
                longer.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._lease.acquire(timeout=0)
        except Timeout:
            return False
        except LeaseSettingsMismatch as error:
            raise BenchError(
                f"{self._path} is of another version of this program: wait until its run has "
                "ended; where there is none, delete the file."
            ) from error
        except OSError as error:
            raise unwritable(self._path, error) from error
        return True

    def drop(self) -> None:
        """Let others have it."""
        self._lease.release()

    @property
    def lost(self) -> bool:
        """Whether another process has taken it over."""
        return self._lease.compromise is not None

    def is_alive(self) -> bool:
        """Whether somebody has it who is not known to be dead, and has given a sign of life of
        late, by this machine's clock."""
        owner = self._lease.owner
        if owner is None:
            return False
        here = owner.hostname.partition("?")[0] == socket.gethostname()
        try:
            silent = time.time() - self._path.stat().st_mtime
        except OSError:
            return False
        return silent < SECONDS and not (here and not is_running(owner.pid))

    def holder(self) -> str:
        """Who has it, for a person to read; '' where nobody has."""
        owner = self._lease.owner
        try:
            changed = self._path.stat().st_mtime
        except OSError:
            return ""
        now = time.monotonic()
        if self._seen is None or self._seen[0] != changed:
            self._seen = changed, now
        who = f"process {owner.pid} on {owner.hostname}" if owner else "a process"
        silent = now - self._seen[1]
        if silent < 2 * _HEARTBEAT:
            return who
        return (
            f"{who}, silent for {silent:.0f} s and replaced after {SECONDS:.0f} s: is it stopped?"
        )
