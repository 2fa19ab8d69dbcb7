"""Real data and a real model, where the machine has them: they stand beside the repository."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared"


def _there_or_skip(path: Path) -> Path:
    if not path.is_dir():
        pytest.skip(f"needs ../{path.relative_to(SHARED.parent)}, which is not here")
    return path


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets (GLUE in the classic layout, retention texts)."""
    return _there_or_skip(SHARED / "data")


@pytest.fixture(scope="session")
def shared_model() -> Path:
    """The folder of stories260K, a small pretrained causal LM."""
    return _there_or_skip(SHARED / "models" / "stories260K")
