"""What the tests of one method share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.planning.plan import Plan
from bench.selfcheck.world import plan_for
from tests.helpers.lwf_cells import Make


@pytest.fixture
def lwf_plan(tiny_causal: Path, tiny_data: Path) -> Make:
    """The plan of one LWF cell that learns CoLA and forgets RTE, with settings."""

    def plan(*settings: str, **options: Any) -> Plan:
        return plan_for(["lwf"], ["cola"], tiny_causal, tiny_data, *settings, **options)

    return plan
