"""Compiled training: the same steps as without, its warm-up beside the time, and no fallback."""

from __future__ import annotations

import shutil
from itertools import count
from pathlib import Path
from typing import Any

import accelerate.utils
import pytest
import torch
from torch import Tensor, nn

from bench.core.errors import CellError
from bench.network.compilation import compile_clock, compiled
from bench.selfcheck.world import plan_for, stage_for, trained, weights
from bench.training.loop import train
from methods.finetune import Finetune

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
def test_steps_and_dropout_are_those_without_it_and_the_warm_up_is_beside_the_time(
    tiny_encoder: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = trained(plan_for(["finetune"], ["cola"], tiny_encoder, tiny_data), tmp_path / "plain")
    plan = plan_for(["finetune"], ["cola"], tiny_encoder, tiny_data, COMPILED)
    stage, ticks = stage_for(plan, tmp_path / "compiled"), count(step=1000.0)
    seen: list[str] = []
    monkeypatch.setattr(stage.run, "progress", lambda what, *_: seen.append(what))
    monkeypatch.setattr("bench.network.compilation.perf_counter", lambda: next(ticks))
    record = train(stage.run, stage.method, None)
    for name, expected in weights(plain).items():
        torch.testing.assert_close(weights(stage)[name], expected, rtol=1e-5, atol=1e-6)
    assert (seen[0], seen[-1]) == ("compile", "train")  # what the bar says
    assert record["compile"] == 1000 * seen.count("compile")  # seconds by that clock
    assert record["train"] < 0  # they were taken off


def test_what_is_compiled_for_fine_tuned_weights_is_in_no_time_of_a_method(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.running.session.train", lambda *_: {"compile": 1000.0})
    monkeypatch.setattr(Finetune, "prepare", lambda _, run: run.finetuned(None))
    plan = plan_for(["finetune"], ["cola"], tiny_causal, tiny_data)
    for compiling in (1000.0, 0.0):  # they are made, and found
        stage = stage_for(plan, tmp_path)
        record = train(stage.run, stage.method, None)
        assert record["compile"] == compiling
        assert -1000 < record["prepare"] + record["shared"] < -900  # it was taken off


class _Stack(nn.Module):
    """Two blocks alike, of which `accelerate` compiles each."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Linear(3, 3) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x


@pytest.mark.usefixtures("without_inductor")
def test_a_hook_that_comes_later_is_seen() -> None:
    net, x, calls = _Stack(), torch.randn(2, 3), []
    with compile_clock(lambda: None):
        model = compiled(net)
        model(x)
        net.blocks[0].register_forward_hook(lambda *_: calls.append("a hook"))
        torch.testing.assert_close(model(x), net(x))
    assert calls == ["a hook", "a hook"]  # of the compiled model, and of the old one


@pytest.mark.usefixtures("without_inductor")
def test_more_variants_than_are_kept_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.network.compilation._VARIANTS", 1)
    net, x = _Stack(), torch.randn(2, 3)
    with (
        pytest.raises(CellError, match=r"^torch\.compile: .*recompile_limit.* in /\S+\)$"),
        compile_clock(lambda: None),
    ):
        model = compiled(net)
        model(x)
        net.requires_grad_(False)
        model(x)


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
