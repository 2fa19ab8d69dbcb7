"""Text of strangers, made harmless to print."""

from __future__ import annotations

import re
from typing import Any

# Characters that move a cursor, colour, reverse or break a line, and halves of characters: C0 and
# C1 controls, bidirectional marks, separators, surrogates.
_ODD = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def printable(text: str) -> str:
    """`text` with a ? for each character that would not be shown as one."""
    return _ODD.sub("?", text)


def printable_values(value: Any) -> Any:
    """A JSON value whose texts, keys too, are printable."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list):
        return [printable_values(item) for item in value]
    if isinstance(value, dict):
        return {printable(key): printable_values(item) for key, item in value.items()}
    return value


def may_be_odd(source: str) -> bool:
    """Whether the texts of a JSON document could hold such characters; quick."""
    return not source.isascii() or "\\" in source or "\x7f" in source
