"""A result says which code, packages and machine it comes from."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from bench.core import provenance as module
from bench.core.provenance import provenance

ROOT = Path(__file__).parents[3]


def test_what_it_says_is_so() -> None:
    found = provenance()
    assert found["python"] == platform.python_version()
    assert found["packages"]["torch"] == version("torch")
    assert found["cores"] == os.cpu_count()


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no checkout")
def test_the_commit_is_the_checkout_s() -> None:
    git = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    head = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    assert module._git()[0] == head


def test_a_package_that_is_not_there_has_no_version() -> None:
    assert module._version("no-such-package-anywhere") is None
