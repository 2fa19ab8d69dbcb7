"""Out of memory: once again with half the micro-batch, then failed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.cells.store import Store
from bench.running.executor import run_in_process
from bench.running.single import run_cell
from bench.selfcheck.world import only_cell, plan_for, workspace_for
from bench.training.memory import half_of_micro_batch, is_out_of_memory
from methods.finetune import Finetune


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A machine with room for four examples; the sizes that were tried."""
    tried: list[int] = []
    loss = Finetune.loss

    def limited(self: Finetune, run: Any, batch: Any) -> Any:
        tried.append(len(batch))
        if len(batch) > 4:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried")
        return loss(self, run, batch)

    monkeypatch.setattr(Finetune, "loss", limited)
    return tried


def test_half_the_micro_batch_is_the_same_batch(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path, small: list[int]
) -> None:
    plan = plan_for(["finetune"], ["cola"], tiny_causal, tiny_data, "train.batch_size=8")
    run_in_process(plan, [only_cell(plan)], Store(tmp_path / "run"), tmp_path / "run")
    (result,) = Store(tmp_path / "run").all()
    assert result["status"] == "done" and small[0] == 8 and set(small[1:]) == {4}
    assert result["scores"] is not None
    note = "memory ran out: micro-batches of 4, the same batch for each step"
    assert result["scores"]["notes"][-1] == note
    words = "train.batch_size=8", "train.micro_batch=4"
    asked = plan_for(["finetune"], ["cola"], tiny_causal, tiny_data, *words)
    expected, *_ = run_cell(only_cell(asked), workspace_for(asked, tmp_path), False)
    assert (result["drift"], result["curve"]) == (expected["drift"], expected["curve"])


def test_what_does_not_fit_by_half_fails(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path, small: list[int]
) -> None:
    plan = plan_for(["finetune"], ["cola"], tiny_causal, tiny_data, "train.batch_size=16")
    run_in_process(plan, [only_cell(plan)], Store(tmp_path), tmp_path)
    (result,) = Store(tmp_path).all()
    assert result["status"] == "failed" and small == [16, 8]
    assert "not enough memory" in (result["error"] or "")


def test_what_cannot_be_halved_is_not(tiny_causal: Path, tiny_data: Path) -> None:
    def half(method: str, *words: str) -> int | None:
        plan = plan_for([method], ["cola"], tiny_causal, tiny_data, *words)
        return half_of_micro_batch(only_cell(plan))

    assert half("finetune", "train.batch_size=5") == 3
    assert half("finetune", "train.batch_size=5", "train.micro_batch=2") == 1
    assert half("finetune", "train.micro_batch=1") is None
    assert half("bss") is None  # other micro-batches are another penalty


def test_what_is_out_of_memory() -> None:
    import torch

    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("shapes differ"))
