"""Tokens that a second start finds: the same as the first's, and found only where all is equal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.network.batches import Encoded
from bench.network.token_cache import pack, unpack
from bench.running import workspace
from bench.selfcheck.world import plan_for, stage_for


def test_pack_and_unpack() -> None:
    encoded = Encoded(
        ids=["a", "é", "c"],
        gold=[1, 0, 0],
        prompts=[[1, 2, 3], [], [4]],
        answers=[[[5], [6, 7]], [[8], [9]], [[], [1]]],
        types=[],
        truncated=2,
        sizes=[[1, 2], [3, 4], [0, 5]],
    )
    assert unpack(pack(encoded)) == encoded
    plain = Encoded(["a"], [0], [[1, 2]], [], [[0, 1]], 0)
    assert unpack(pack(plain)) == plain


@pytest.mark.parametrize("model", ["tiny_causal", "tiny_encoder"])
def test_a_second_start_tokenises_nothing_and_has_the_same(
    model: str,
    tiny_data: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = request.getfixturevalue(model)
    calls = []

    def counted(*args: Any) -> Encoded:
        calls.append(args[1].name)
        return encode(*args)

    encode = workspace.encode
    monkeypatch.setattr(workspace, "encode", counted)
    plan = plan_for(["finetune"], ["cola"], folder, tiny_data)
    first = stage_for(plan, tmp_path)
    assert calls
    calls.clear()
    second = stage_for(plan, tmp_path)
    assert not calls
    assert second.run.train_rows == first.run.train_rows
    assert second.dev == first.dev
    stage_for(plan_for(["finetune"], ["cola"], folder, tiny_data, "train.max_length=99"), tmp_path)
    assert calls
    calls.clear()
    stage_for(plan_for(["finetune"], ["cola"], folder, tiny_data, "train.max_train=8"), tmp_path)
    assert calls == ["cola"]  # the training rows only
    changed = plan_for(["finetune"], ["cola"], folder, tiny_data)
    changed.material.rows["cola", str(tiny_data), "dev"][0]["sentence"] += " again"
    calls.clear()
    stage_for(changed, tmp_path)
    assert calls == ["cola"]
