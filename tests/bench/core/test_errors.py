"""The error for a name that nothing answers to."""

from __future__ import annotations

import pytest

from bench.core.errors import RefusedError, unknown_name


@pytest.mark.parametrize(
    ("name", "known", "listing", "says"),
    [
        ("ecw", ["lwf", "ewc"], None, "Did you mean 'ewc'? Known: ewc, lwf."),
        ("zzz", ["lwf", "ewc"], None, "Known: ewc, lwf."),
        ("zzz", [], None, "Known: none."),
        ("ecw", ["lwf", "ewc"], "See: list methods.", "Did you mean 'ewc'? See: list methods."),
    ],
)
def test_an_unknown_name(name: str, known: list[str], listing: str | None, says: str) -> None:
    assert str(unknown_name("method", name, known, listing)) == f"unknown method '{name}'. {says}"


def test_a_reason_is_given_once() -> None:
    assert RefusedError("nothing fits", ["b", "a", "b"]).reasons == ("b", "a")
