"""Documents that were changed at random: as values, as text or as bytes."""

from __future__ import annotations

import copy
import json
import random
import tomllib
from collections.abc import Iterator
from typing import Any

ODD: list[Any] = [
    *(None, True, False, 0, -1, 2, 10**30, 1.5, -1e308, 1e308, "", "x", "cola", "../x", "NaN", "0"),
    *("\x1b[31m\x07", "\ud800", "=1+1", "[a](javascript:b)", "a\nb", "\u202e", "x" * 3000),
    *([], [[]], [None], ["x"], [0.5], {}, {"a": 1}, {"": None}, {"cola": {"hash": 3}}),
]


def mutated(value: Any, rng: random.Random) -> Any:
    """A JSON value that was changed in one to three places."""
    value = copy.deepcopy(value)
    for _ in range(rng.randint(1, 3)):
        place = value
        while isinstance(place, dict | list) and place:
            key = rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
            inner = place[key]
            if not (isinstance(inner, dict | list) and inner) or rng.random() < 0.3:
                _change(place, key, rng)
                break
            place = inner
    return value


def _change(place: Any, key: Any, rng: random.Random) -> None:
    act = rng.randrange(5)
    if act == 0:
        del place[key]
    elif act == 1 and isinstance(place, dict):
        place[rng.choice(["x", "", "\x1b[0m", str(key) + "s"])] = place.pop(key)
    elif act == 2 and isinstance(place, list):
        place.append(copy.deepcopy(rng.choice(ODD)))
    else:
        place[key] = copy.deepcopy(rng.choice(ODD))


def garbled(content: bytes, rng: random.Random) -> bytes:
    """Bytes that were cut, or of which some were changed, lost or doubled."""
    found = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at, act = rng.randrange(len(found) + 1), rng.randrange(5)
        if act == 0:
            del found[at:]
        elif act == 1:
            found[at : at + 1] = bytes([rng.randrange(256)])
        elif act == 2:
            del found[at : at + rng.randint(1, 20)]
        elif act == 3:
            found[at:at] = rng.choice(
                [b"\0", b'"', b"[", b"{", b"\n", b"\t", b"\xff", b"'", b"=", b"1e999"]
            )
        else:
            found[at:at] = found[max(0, at - 30) : at]
    return bytes(found)


def toml(text: str, rng: random.Random) -> bytes:
    """A TOML file, changed as a table or as text."""
    if rng.random() < 0.5:
        return garbled(text.encode(), rng)
    return "\n".join(_lines(mutated(tomllib.loads(text), rng))).encode(errors="replace")


def _lines(table: dict[str, Any]) -> Iterator[str]:
    """A table as TOML has it, each value on a line."""
    for key, value in table.items():
        yield f"{json.dumps(key)} = {_inline(value)}"


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(_lines(value)) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return json.dumps(value) if value is not None else '""'


def document(value: Any, rng: random.Random) -> bytes:
    """A document, changed as a value or as text."""
    if rng.random() < 0.75:
        return json.dumps(mutated(value, rng)).encode()
    return garbled(json.dumps(value).encode(), rng)
