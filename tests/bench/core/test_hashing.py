"""Hashes and seeds are those of every machine: sha256 of a text that stands here."""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path

import pytest

from bench.core.hashing import code_digest, derive_seed, digest


def test_a_digest_is_of_the_value_and_not_of_its_order() -> None:
    text = '{"a":[1,2.5,null],"θ":"x"}'
    assert digest({"θ": "x", "a": (1, 2.5, None)}) == hashlib.sha256(text.encode()).hexdigest()


def test_seeds_differ_by_what_they_are_for() -> None:
    first = int(hashlib.sha256(b"cola\x1f0\x1forder").hexdigest()[:16], 16) // 2
    assert derive_seed("cola", 0, "order") == first < 2**63
    assert derive_seed("cola", 0, "order") != derive_seed("cola", 0, "dropout")
    assert derive_seed("a", "b") != derive_seed("ab")


def test_code_is_that_of_the_files_that_were_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of one's own is read each time, a package once; of what lies in no file nothing is
    known."""
    monkeypatch.syspath_prepend(tmp_path)
    alone, part = tmp_path / "alone_here.py", tmp_path / "package_here" / "part.py"
    part.parent.mkdir()
    for path in (alone, part, part.with_name("__init__.py")):
        path.write_text("x = 1\n")
    names = ("alone_here", "package_here.part")
    for name in names:
        importlib.import_module(name)
    suite, one, two = code_digest([]), code_digest(names[:1]), code_digest(names[1:])
    assert len({suite, one, two, code_digest(names)}) == 4
    assert code_digest(names) == code_digest(reversed(names))
    alone.write_text("x = 2\n")
    part.with_name("__init__.py").write_text("x = 2\n")
    assert code_digest(names[:1]) != one and code_digest(names[1:]) == two
    alone.unlink()
    assert code_digest(names[:1]) == code_digest(["not_loaded"]) == ""
