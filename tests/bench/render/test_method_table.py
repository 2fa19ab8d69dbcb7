"""`docs/methods.md`: its table is what the cards say today."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.planning.plugins import load_builtin
from bench.render.method_table import with_methods

PAGE = Path(__file__).parents[3] / "docs" / "methods.md"


def test_the_table_of_methods_is_made_of_their_cards() -> None:
    load_builtin()
    text = PAGE.read_text(encoding="utf-8")
    assert with_methods(text) == text, "run: python -m bench.render.method_table docs/methods.md"


def test_a_page_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="no <!-- methods"):
        with_methods("# Methods\n")
