"""What several tests of running cells count."""

from __future__ import annotations

import pytest

from bench.training.context import TrainingContext
from methods.finetune import Finetune


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The steps that finetune makes."""
    made: list[int] = []

    def count(_: Finetune, run: TrainingContext) -> None:
        made.append(run.step)

    monkeypatch.setattr(Finetune, "after_step", count)
    return made
