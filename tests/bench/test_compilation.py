"""Compiled training: the same steps as without, its warm-up beside the time, and no fallback."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import accelerate.utils
import pytest
import torch
from torch import nn

from bench.errors import CellError
from bench.training import train
from methods.base import Method
from methods.finetune import Finetune
from tests.worlds import plan_for, stage_for, trained, weights

COMPILED = "train.compile=true"


@pytest.fixture
def without_inductor(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of `torch.compile` but the machine code, which takes most of its time."""
    regions = accelerate.utils.compile_regions

    def traced(model: nn.Module, dynamic: bool, options: dict[str, Any]) -> nn.Module:
        assert options == {"fallback_random": True}  # which this backend cannot but do
        found: nn.Module = regions(model, dynamic=dynamic, backend="aot_eager")
        return found

    monkeypatch.setattr(accelerate.utils, "compile_regions", traced)
    torch._dynamo.reset()


@pytest.mark.usefixtures("without_inductor")
def test_the_steps_are_those_without_it_dropout_included(
    tiny_encoder: Path, tiny_data: Path, tmp_path: Path
) -> None:
    plain, compiled = (
        weights(trained(plan_for(["finetune"], ["cola"], tiny_encoder, tiny_data, *words), folder))
        for words, folder in (([], tmp_path / "plain"), ([COMPILED], tmp_path / "compiled"))
    )
    for name, expected in plain.items():
        torch.testing.assert_close(compiled[name], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("without_inductor")
def test_the_warm_up_is_beside_the_time_and_the_bar_says_what_it_waits_for(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_for(["finetune"], ["cola"], tiny_causal, tiny_data, COMPILED)
    stage, now = stage_for(plan, tmp_path), iter(range(10**9))
    seen: list[str] = []
    monkeypatch.setattr(stage.run, "progress", lambda what, *_: seen.append(what))
    monkeypatch.setattr("bench.compilation.perf_counter", lambda: 1000.0 * next(now))
    record = train(stage.run, stage.cell.method, None)
    assert seen[0] == "compile" and seen[-1] == "train"
    compilations = seen.count("compile")  # each takes a thousand seconds by that clock
    assert record["compile"] == 1000 * compilations
    assert record["train"] < 0.0  # that much was taken off


@pytest.mark.usefixtures("without_inductor")
def test_a_hook_that_comes_later_is_compiled_in(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def after_step(_: Method, run: Any) -> None:
        if run.step == 2:
            layer = next(m for m in run.net.modules() if isinstance(m, nn.Linear))
            layer.register_forward_hook(lambda *_: calls.append(run.step))

    monkeypatch.setattr(Finetune, "after_step", after_step)
    stage = trained(plan_for(["finetune"], ["cola"], tiny_causal, tiny_data, COMPILED), tmp_path)
    assert calls == list(range(2, stage.run.steps))


def test_what_cannot_be_compiled_fails_and_does_not_run_as_it_is(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    torch._dynamo.reset()
    plan = plan_for(["finetune"], ["cola"], tiny_causal, tiny_data, COMPILED)
    with (
        torch._inductor.utils.fresh_cache(),
        torch._inductor.config.patch({"cpp.cxx": (None, "no-such-compiler")}),
        pytest.raises(CellError, match=r"torch\.compile: .*no-such-compiler"),
    ):
        trained(plan, tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="no C++ compiler")
def test_recadam_in_machine_code_ends_where_it_ends_without(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    words = ("recadam.t0=3", "recadam.k=1")
    plain, compiled = (
        trained(plan_for(["recadam"], ["cola"], tiny_causal, tiny_data, *words, *more), folder)
        for more, folder in (([], tmp_path / "plain"), ([COMPILED], tmp_path / "compiled"))
    )
    for name, expected in weights(plain).items():
        torch.testing.assert_close(weights(compiled)[name], expected, rtol=1e-3, atol=1e-5)
