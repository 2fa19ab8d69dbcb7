"""What computes is chosen before anything starts, and must be there and able."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.cells.recipe import Training
from bench.core import machine
from bench.core.errors import BenchError
from bench.running import device
from tests.conftest import Run


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    told = {"name": ["Old", "New"], "memory.total": ["16384", "81920"], "compute_cap": ["7.5", "9"]}
    monkeypatch.setattr(machine, "_asked_of_gpus", told.__getitem__)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "")
    device.use.cache_clear()
    yield
    os.environ.pop("CUDA_VISIBLE_DEVICES", None)
    device.use.cache_clear()


@pytest.mark.usefixtures("two_gpus")
def test_a_device_is_what_is_seen_from_then_on() -> None:
    assert device.told() == "cuda:0 (Old, 16 GiB); cuda:1 (New, 80 GiB)"
    device.use(None)
    device.use("cuda")
    assert machine.gpus() == ["0", "1"]
    for _ in range(2):  # the parts of a preset ask one after the other
        device.use("cuda:1")
        assert machine.gpus() == ["1"]
    assert device.told() == "cuda:0 (New, 80 GiB); CUDA_VISIBLE_DEVICES=1"
    with pytest.raises(BenchError, match=r"^--device cuda:2: there is cuda:0 alone \(CUDA_VIS"):
        device.use("cuda:2")
    device.use("cpu")
    assert machine.gpus() == [] and os.environ["ACCELERATE_USE_CPU"] == "true"
    assert device.told().startswith("cpu, ")


def test_a_gpu_that_only_the_environment_knows_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-5")
    assert device.told() == "CUDA_VISIBLE_DEVICES=GPU-5, of which nothing more is known"


@pytest.mark.usefixtures("two_gpus")
def test_what_is_not_there_or_not_able_is_one_line() -> None:
    for name, reason in {
        "cuda:2": r"^--device cuda:2: there are 2, from cuda:0 on.$",
        "gpu": r"^--device 'gpu' is none of cpu, cuda, cuda:N, mps.$",
        "cpu:0": r"^--device 'cpu:0' is none of",
    }.items():
        with pytest.raises(BenchError, match=reason):
            device.use(name)
    narrow = Training(precision="bfloat16")
    with pytest.raises(BenchError, match=r"^train.scoring=bfloat16: Old has no such arithmetic"):
        device.check(Training(scoring="bfloat16"))
    with pytest.raises(BenchError, match=r"^train.precision=bfloat16: Old has no such arithmetic"):
        device.check(narrow)
    device.check(Training())
    device.use("cuda:1")
    device.check(narrow)
    device.check(Training(tf32=True))
    device.use("cpu")
    with pytest.raises(BenchError, match=r"^train.tf32=true is for NVIDIA's GPUs, and there is no"):
        device.check(Training(tf32=True))


def test_on_the_command_line(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_asked_of_gpus", lambda _: [])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    device.use.cache_clear()
    words = ["--methods", "l2sp", "--tasks", "cola", "--out", tmp_path / "run"]
    code, out, err = run(*words, "--device", "cuda:1")
    assert (code, out) == (2, "")
    assert err == "run_bench.py: --device cuda:1: there is no GPU.\n"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    for name in ("cuda", "cuda:0"):
        code, out, err = run(*words, "--device", name)
        assert (code, out) == (2, "")
        assert (
            err == f"run_bench.py: --device {name}: torch finds no GPU (CUDA_VISIBLE_DEVICES=5).\n"
        )
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    code, _, err = run(*words, "--set", "train.tf32=true")
    assert code == 2 and err.count("\n") == 1
    assert not (tmp_path / "run").exists()
