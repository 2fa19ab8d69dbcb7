"""What a model's folder may not do: run code, load kernels, or name files that lie elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError
from bench.core.text import printable

_ADAPTER = "adapter_config.json"


def check_config(config: dict[str, Any], name: str, trusted: bool) -> None:
    """Raises BenchError where a configuration asks for a kernel from the hub, which is code, and
    the model is not trusted."""
    for key, value in _implementations(config):
        if "/" in value and not trusted:
            raise BenchError(
                f"model {name}: {key} = {printable(value)!r} in config.json loads code from the "
                "hub; --trust-remote-code allows that."
            )


def check_folder(folder: Path, name: str) -> None:
    """Raises BenchError where a folder's weights lie elsewhere, so that its hash would not tell
    what is loaded."""
    if (folder / _ADAPTER).is_file():
        raise BenchError(
            f"model {name}: {_ADAPTER} makes {folder} an adapter of another model, which is loaded "
            "from elsewhere. Merge it into that one and save the whole."
        )
    for path in sorted(folder.glob("*.safetensors.index.json")):
        for shard in _shards(path, name):
            if not isinstance(shard, str) or Path(shard).name != shard:
                shown = printable(str(shard))
                raise BenchError(f"model {name}: {path.name} names {shown!r}, no file beside it.")
            if not (folder / shard).is_file():
                raise BenchError(f"model {name}: {path.name} names {shard!r}, which is not there.")


def _shards(path: Path, name: str) -> set[Any]:
    try:
        return set(json.loads(path.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise BenchError(f"model {name}: {path.name} cannot be read ({reason}).") from None


def _implementations(config: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Which code the parts of a network are computed by, where a configuration says so."""
    for key, value in config.items():
        named = "_implementation" in key
        if named and isinstance(value, str):
            yield key, value
        elif isinstance(value, dict):
            texts = ((key, v) for v in value.values() if named and isinstance(v, str))
            yield from texts
            yield from _implementations(value)
