"""Files that are whole or absent, whatever happens while they are written."""

from __future__ import annotations

import functools
import hashlib
import os
import secrets
import socket
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bench.core.errors import BenchError

if TYPE_CHECKING:
    from torch import Tensor

_DAY_SECONDS = 86_400


def atomic_write_text(path: Path, text: str) -> None:
    """`atomic_write_bytes` of `text` as UTF-8, line ends as they are."""
    atomic_write_bytes(path, text.encode())


def atomic_write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that a crash at any moment leaves the old content or the new, never a part.

    Raises:
        BenchError: the file cannot be written; what was there is still there.
    """
    _atomic_write(path, lambda temporary: temporary.write_bytes(content))


def atomic_write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """`atomic_write_bytes` of a safetensors file, without a copy of its tensors in memory."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    def write(temporary: Path) -> None:
        try:
            save_file(dict(tensors), temporary)
        except SafetensorError as error:  # that is how it says that the disk is full
            raise OSError(str(error)) from error

    _atomic_write(path, write)


def _atomic_write(path: Path, write: Callable[[Path], object]) -> None:
    temporary = path.with_name(f".{path.name}.{_host()}-{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(temporary)
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error


def sweep(folder: Path) -> None:
    """Delete what writers that were killed left below `folder`: temporary files of processes of
    this machine that are gone, and of any machine after a day."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".probe.") as probe:
        now = Path(probe.name).stat().st_mtime  # the disk's clock, not this machine's
    for path in folder.rglob(".*-*-*.tmp"):
        host, pid = path.name.split(".")[-2].split("-")[:2]
        try:
            old = now - path.stat().st_mtime > _DAY_SECONDS
            if old or (host == _host() and not is_running(int(pid))):
                path.unlink()
        except (OSError, ValueError):  # another process was quicker; not one of ours
            continue


def is_running(pid: int) -> bool:
    """Whether there is a process of this number on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


@functools.cache
def _host() -> str:
    """A short name of this machine, without a dot or a dash."""
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def check_writable(folder: Path) -> None:
    """Create `folder` and see that a file can be written there, before hours of work.

    Raises:
        BenchError: it cannot (a file stands in the way, permissions, a read-only disk).
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Permission bits say nothing to root, nor about read-only disks: only a write tells.
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".probe."):
            pass
    except OSError as error:
        raise unwritable(folder, error) from error


def unwritable(path: Path, error: OSError) -> BenchError:
    """The error for a place where nothing can be written."""
    return BenchError(f"cannot write {path}: {error.strerror or error}.")


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
