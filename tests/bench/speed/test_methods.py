"""The methods' overhead: seconds, memory, and the reason where a model refuses a method."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from bench.core.memory import peak_memory_mib
from bench.speed.__main__ import main
from bench.speed.methods import Cost, _compared
from bench.speed.timing import growth_mib


def test_costs_are_beyond_finetune_of_the_same_round() -> None:
    plain = [Cost(2.0, 0.5, 100.0), Cost(4.0, 0.5, 100.0), Cost(1.0, 0.5, 100.0)]
    other = [Cost(4.0, 3.5, 150.0), Cost(4.0, 1.5, 160.0), Cost(4.0, 2.5, 140.0)]
    found = _compared({"finetune": plain, "other": other})
    assert found["other"] == {
        "ratio": 0.5,
        "low": 0.25,
        "high": 1.0,
        "train_seconds": 4.0,
        "once_seconds": 2.0,
        "peak_mib": 150.0,
    }
    assert found["finetune"]["ratio"] == 1.0
    assert found["finetune"]["once_seconds"] == 0.0
    untold = {"finetune": [Cost(1.0, 0.0, None)]}
    assert _compared(untold)["finetune"]["peak_mib"] is None


@pytest.mark.skipif(peak_memory_mib() is None, reason="this system does not tell the peak memory")
def test_growth_is_the_peak_also_of_memory_that_was_used_before() -> None:
    pins: list[torch.Tensor] = []

    def work() -> None:
        for _ in range(2):  # one after the other: the peak is one of them
            pieces = [torch.ones(1 << 13) for _ in range(1024)]  # 32 MiB, from malloc's heap
            pins.append(torch.ones(1 << 13))  # at the heap's end, which cannot shrink below it
            del pieces

    for _ in range(2):
        grown = growth_mib(work)
        assert grown is not None
        assert 28 < grown < 60


def test_the_command_shows_methods_and_refusals(
    tiny_encoder: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "methods.json"
    words = f"methods --model {tiny_encoder} --data {tiny_data}"
    words += " --methods recadam,ewc --steps 2 --rounds 1 --json"
    assert main([*words.split(), str(file)]) == 0
    shown = capsys.readouterr().out
    assert "x finetune" in shown
    found = json.loads(file.read_text())
    assert set(found) == {"finetune", "recadam", "ewc"}
    assert "encoder" in found["ewc"]["refused"]
    assert f"ewc: {found['ewc']['refused']}" in shown
    assert found["recadam"]["low"] <= found["recadam"]["ratio"] <= found["recadam"]["high"]


def test_an_unknown_method_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods", "--methods", "finetume", "--steps", "1"]) == 2
    assert "finetune" in capsys.readouterr().err
