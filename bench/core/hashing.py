"""Hashes and seeds of what things are: the same on every machine."""

from __future__ import annotations

import functools
import hashlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def digest(value: Any) -> str:
    """sha256 (hex) of a JSON value, the same for equal values on every machine."""
    return text_digest(json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")))


def text_digest(text: str) -> str:
    """sha256 (hex) of a text as UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """sha256 (hex) of a file's content; raises OSError where it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def derive_seed(*parts: object) -> int:
    """A 63-bit seed from what it is for: `derive_seed("cola", 0, "order")`."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def code_digest(modules: Iterable[str]) -> str:
    """sha256 (hex) of the code of the suite and of these modules, which are loaded: of one in a
    package, all of that. Empty where one lies in no file, as a notebook's, which nobody can know
    again."""
    parts = [_package_digest(__name__.partition(".")[0])]
    for name in sorted(modules):
        top = name.partition(".")[0]
        file = getattr(sys.modules.get(name), "__file__", None)
        try:
            is_package = hasattr(sys.modules.get(top), "__path__")
            parts.append(_package_digest(top) if is_package else file_digest(Path(file or "")))
        except OSError:
            return ""
    return digest(parts)


@functools.cache  # what is loaded stays as it is, whatever becomes of its files
def _package_digest(name: str) -> str:
    folders = map(Path, sys.modules[name].__path__)
    files = {str(f.relative_to(top)): file_digest(f) for top in folders for f in top.rglob("*.py")}
    return digest(files)
