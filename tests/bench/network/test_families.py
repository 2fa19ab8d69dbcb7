"""Every family of the installed transformers: right, refused, or failing with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest
import transformers as hf

from bench.selfcheck.world import World
from tests.helpers.family_check import outcome, recorded
from tests.helpers.tiny_families import KINDS, Kind, families

PAGE = Path(__file__).parents[3] / "docs" / "models.md"
ALL = [(family, kind) for kind in KINDS for family in families(kind)]


@pytest.mark.slow
@pytest.mark.parametrize(("family", "kind"), ALL, ids=lambda value: value)
def test_a_family_is_right_or_says_why_not(
    family: str, kind: Kind, world: World, tmp_path: Path
) -> None:
    found = outcome(family, kind, world, tmp_path)
    print(f"{family} ({kind}): {found}")
    assert not found.startswith("WRONG"), found
    page = PAGE.read_text(encoding="utf-8")
    if hf.__version__ in page:  # another version's families may differ, and new ones are reported
        then = recorded(page)[family, kind]
        what = found.partition(":")[0]
        assert then.startswith((what, "not built")), "python -m tests.helpers.family_check, anew"
