"""Every fault of the drill, on a tiny grid: 0 lost, 0 redone, 0 different. Counts are printed."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import COUNTS
from tests.faults.drill import DRILLS

ROOT = Path(__file__).parents[2]


def test_every_fault_stands_in_the_docs() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", text, re.M) == list(DRILLS)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", DRILLS)
def test_nothing_is_lost_redone_or_different(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    command = [sys.executable, "-m", "tests.faults.drill", name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    record_property(COUNTS, done.stdout.strip().splitlines()[-1])
    assert done.returncode == 0, done.stdout + done.stderr
