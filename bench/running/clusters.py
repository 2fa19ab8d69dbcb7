"""Whether cells can be sent to a cluster, looked at before anything starts."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError
from bench.core.provenance import DISTRIBUTION
from bench.planning.options import Options
from bench.running.sharing import processes

AUTO = "auto"
_PACKAGES = {"ray": "ray", "slurm": "submitit"}
_ANSWER_SECONDS = 5.0
_SETTINGS = b"\0\0\0\4\0\0\0\0\0"  # a frame of HTTP/2 with which either side begins
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _SETTINGS


def check_executor(options: Options) -> None:
    """Raises BenchError where cells cannot be sent to where they are to run."""
    name = options.executor
    for flag, value, owner in (
        ("--ray-address", options.ray_address, "ray"),
        ("--slurm", options.slurm, "slurm"),
    ):
        if value and owner != name:
            raise BenchError(f"{flag} is for --executor {owner}.")
    if name == "local":
        return
    if options.device:
        raise BenchError(f"--device is for --executor local; {name} gives each job its own.")
    if processes() > 1:
        raise BenchError(
            f"--executor {name}: accelerate's processes share each cell; leave one of them out."
        )
    package = _PACKAGES[name]
    if importlib.util.find_spec(package) is None:
        raise BenchError(
            f"--executor {name} needs the extra [{name}]: pip install {DISTRIBUTION}[{name}]"
        )
    if name == "ray":
        check_ray(options.ray_address)
    else:
        check_slurm(options.slurm)


def check_ray(address: str | None) -> None:
    """Raises BenchError where nothing answers at an address within five seconds as Ray does, by
    gRPC: Ray itself would wait for minutes."""
    if address is None or address == AUTO:
        return
    host, colon, port = address.rpartition(":")
    if not (host and colon and port.isdigit()):
        raise BenchError(f"--ray-address {address!r} is not HOST:PORT, nor {AUTO}.")
    try:
        with socket.create_connection((host, int(port)), _ANSWER_SECONDS) as link:
            link.sendall(_HELLO)
            answer = link.recv(len(_SETTINGS))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BenchError(f"--ray-address {address} does not answer: {reason}.") from error
    if answer[3:4] != _SETTINGS[3:4]:
        raise BenchError(f"--ray-address {address} answers, but is no cluster of Ray.")


def check_slurm(words: Sequence[str]) -> None:
    """Raises BenchError where jobs cannot be submitted from here, or not with these words."""
    if parameters(words).get("cluster", "slurm") == "slurm" and shutil.which("sbatch") is None:
        raise BenchError("--executor slurm: there is no sbatch here, which submits jobs.")
    with tempfile.TemporaryDirectory() as folder:
        slurm_executor(Path(folder), words, minutes=1)


def slurm_executor(folder: Path, words: Sequence[str], minutes: int) -> Any:
    """submitit's executor for jobs of so many `minutes`, unless `words` say otherwise, which keeps
    what it knows of them in the folder.

    Raises:
        BenchError: a parameter or a cluster that submitit does not know, or a wrong value.
    """
    import submitit

    given = parameters(words)
    usual = {"name": "forgetting-bench", "cpus_per_task": 1, "timeout_min": minutes}
    try:
        executor = submitit.AutoExecutor(folder, given.pop("cluster", "slurm"))
        executor.update_parameters(**{**usual, **given})
    except (NameError, AssertionError, ValueError, RuntimeError) as error:
        line = str(error).splitlines()[0]
        raise BenchError(f"--slurm {','.join(words)}: {line}") from error
    return executor


def parameters(words: Sequence[str]) -> dict[str, Any]:
    """`["partition=gpu", "mem_gb=32"]` as submitit takes them: those that it shares over clusters
    as they are, Slurm's own with `slurm_` in front.

    Raises:
        BenchError: a word that is not NAME=VALUE.
    """
    shared = ("name", "timeout_min", "mem_gb", "nodes", "cpus_per_task", "gpus_per_node", "cluster")
    found: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals and value):
            raise BenchError(f"--slurm {word!r} is not of the form NAME=VALUE.")
        key = name if name in shared or name.startswith("slurm_") else f"slurm_{name}"
        found[key] = int(value) if value.isdigit() else value
    return found
