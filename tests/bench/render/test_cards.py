"""`list methods` and `show METHOD`: what a reader sees of a card."""

from __future__ import annotations

import io
import sys

import pytest

from bench.cli.main import main
from bench.planning.plugins import load_builtin
from bench.render import cards
from bench.render.wording import kept
from bench.training.method import METHODS

load_builtin()
NAMES = METHODS.names()


@pytest.mark.parametrize("name", NAMES)
def test_a_card_says_it_all_in_lines_that_fit(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", name]) == 0
    shown = capsys.readouterr().out
    title, *lines = shown.splitlines()
    cls = METHODS.get(name)
    assert title == f"{name}: {cls.card.title}"
    assert max(map(len, lines)) <= 100
    assert all(line.startswith("  ") or not line for line in lines)
    words = " ".join(shown.split())
    told = (cls.__doc__, cls.card.equation, cls.card.paper, cls.card.defaults, cls.card.passes)
    assert [text for text in told if " ".join(str(text).split()) not in words] == []
    assert f"gradients and moments: {kept(cls())}" in words


def test_a_range_is_never_broken_and_words_are_explained() -> None:
    shown = cards.method(METHODS.get("lwf"))
    assert "(one of periodic, random, ahead)" in shown
    assert "generation (a model that writes text)" in shown
    assert "in a stack: auxiliary (" in shown


def test_all_cards_and_then_all_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "methods"]) == 0
    *cards, names = capsys.readouterr().out.split("\n\n")
    assert [card.partition(":")[0] for card in cards] == NAMES
    assert " ".join(names.split()).startswith(f"{len(NAMES)} methods: {', '.join(NAMES)}. ")


def test_a_terminal_without_greek_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", screen)
    assert main(["show", "wise_ft"]) == 0
    screen.seek(0)
    assert "? = (1 ? ?) ?0 + ? ?_ft" in screen.read()
