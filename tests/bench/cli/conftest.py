"""The words of a small run, for all tests of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

TINY = ("train.retention_tokens=128", "train.forget_rows=8")


@pytest.fixture
def grid(tiny_causal: Path, tiny_data: Path, tmp_path: Path) -> list[object]:
    """The words of a small run."""
    return [
        "--methods", "recadam", "--tasks", "cola,rte", "--model", tiny_causal,
        "--data", tiny_data, "--seeds", 2, "--out", tmp_path / "run", "--steps", 3,
        "--batch-size", 8, "--set", *TINY,
    ]  # fmt: skip
