"""Hashes and seeds are those of every machine: sha256 of a text that stands here."""

from __future__ import annotations

import hashlib

from bench.core.hashing import derive_seed, digest


def test_a_digest_is_of_the_value_and_not_of_its_order() -> None:
    text = '{"a":[1,2.5,null],"θ":"x"}'
    assert digest({"θ": "x", "a": (1, 2.5, None)}) == hashlib.sha256(text.encode()).hexdigest()


def test_seeds_differ_by_what_they_are_for() -> None:
    first = int(hashlib.sha256(b"cola\x1f0\x1forder").hexdigest()[:16], 16) // 2
    assert derive_seed("cola", 0, "order") == first < 2**63
    assert derive_seed("cola", 0, "order") != derive_seed("cola", 0, "dropout")
    assert derive_seed("a", "b") != derive_seed("ab")
