"""HTML and SVG as text: what is not markup of our own is escaped."""

from __future__ import annotations

from html import escape

_PLAIN = ("input", "meta", "br", "wbr")
_EMPTY = frozenset({*_PLAIN, "path", "line", "rect", "circle", "use", "polyline"})


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


Child = str | None


def tag(name: str, /, *children: Child, **attributes: object) -> Markup:
    """An element. Of attributes, `class_` is class, `_` is -, True stands for itself, and None and
    False are left out; children that are None, too."""
    given = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{_quoted(value)}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in _EMPTY and not children:
        return Markup(f"<{name}{given}>" if name in _PLAIN else f"<{name}{given}/>")
    return Markup(f"<{name}{given}>{joined(*children)}</{name}>")


def joined(*children: Child) -> Markup:
    """Children one after the other."""
    return Markup(
        "".join(
            child if isinstance(child, Markup) else escape(child, quote=False)
            for child in children
            if child is not None
        )
    )


def _quoted(value: object) -> str:
    if isinstance(value, float):
        return format(value, ".1f").removesuffix(".0")
    return escape(str(value))
