"""Real data and a real model, where the machine has them; and a tiny made-up world, always."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# The models are so small that a second thread only waits; before torch is imported, for all
# subprocesses too.
os.environ.setdefault("OMP_NUM_THREADS", "1")

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


@pytest.fixture(scope="session")
def tiny_causal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny causal LM; see tests/worlds.py."""
    from tests.worlds import write_causal

    return write_causal(tmp_path_factory.mktemp("models") / "tiny-causal")


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny BERT with its masked-LM head."""
    from tests.worlds import write_encoder

    return write_encoder(tmp_path_factory.mktemp("models") / "tiny-encoder")


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a few dozen rows of CoLA and RTE in the classic layout."""
    from tests.worlds import write_data

    return write_data(tmp_path_factory.mktemp("data") / "tiny-data")


@pytest.fixture(scope="session")
def tiny_text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A retention text in the words that the tiny models know."""
    from tests.worlds import write_text

    return write_text(tmp_path_factory.mktemp("text") / "tiny.txt")
