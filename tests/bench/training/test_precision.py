"""bfloat16 is for the passes that train; everything that is kept or compared is float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf

from bench.gradients.fisher import forgetting_confidence
from bench.network.likelihood import TaskModel
from bench.planning.plugins import load_builtin
from bench.scoring.evaluation import drift
from bench.selfcheck.world import plan_for, stage_for, trained, weights
from bench.training.method import METHODS
from methods.finetune import Finetune
from methods.shared.task_fisher import task_fisher

load_builtin()
NARROW = "train.precision=bfloat16"


def test_only_training_passes_are_narrow(tiny_causal: Path) -> None:
    net = hf.AutoModelForCausalLM.from_pretrained(tiny_causal)
    batch = {"input_ids": torch.tensor([[3, 4, 5]])}
    places = torch.tensor([[1, 2]])
    model, plain = TaskModel(net, "bfloat16"), TaskModel(net)
    assert torch.equal(model.eval()(batch, places), plain.eval()(batch, places))
    found, expected = model.train()(batch, places), plain.train()(batch, places)
    assert (found.dtype, expected.dtype) == (torch.bfloat16, torch.float32)
    torch.testing.assert_close(found.float(), expected, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("name", METHODS.names())
def test_methods_keep_weights_and_state_in_float32(
    name: str, tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    stage = trained(plan_for([name], ["cola"], tiny_causal, tiny_data, NARROW), tmp_path)
    state = [
        value
        for values in stage.run.optimizer.optimizer.state.values()
        for value in values.values()
        if isinstance(value, torch.Tensor)
    ]
    parameters = list(stage.run.net.parameters())
    assert state
    assert {value.dtype for value in [*state, *parameters]} == {torch.float32}
    assert all(bool(p.isfinite().all()) for p in parameters)
    assert drift(stage.loaded) > 0


def test_precision_changes_the_steps_and_no_score_of_the_base(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    both = [
        plan_for(["finetune"], ["cola"], tiny_causal, tiny_data, *settings)
        for settings in ([], [NARROW])
    ]
    plain, narrow = (weights(trained(plan, tmp_path / str(i))) for i, plan in enumerate(both))
    assert any(not torch.equal(plain[name], narrow[name]) for name in plain)
    outputs = [
        stage_for(plan, tmp_path / f"base {i}").measuring.dev_outputs(base=True)
        for i, plan in enumerate(both)
    ]
    assert outputs[0] == outputs[1]


def test_importance_is_the_same_whatever_the_precision(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    """Fisher and confidence, as a method's `prepare` computes them."""
    found = []
    for i, settings in enumerate(([], [NARROW])):
        plan = plan_for(["finetune"], ["cola"], tiny_causal, tiny_data, *settings)
        run = stage_for(plan, tmp_path / str(i)).run
        fisher = task_fisher(run, 16)
        star = {name: value + 0.01 for name, value in run.loaded.base.items()}
        batches = run.batches(list(range(8)), 4)
        values = run.net, batches, run.example_losses, fisher, star, 1e-3
        found.append((fisher, forgetting_confidence(*values).change))
    (plain, change), (narrow, other) = found
    assert all(torch.equal(plain[name], narrow[name]) for name in plain)
    assert torch.equal(change, other)


def test_tf32_is_for_training_alone(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bench.network.precision tells torch in each step, not what scores; a CPU is not asked."""
    seen: list[str] = []
    loss = Finetune.loss

    def noted(self: Finetune, run: Any, batch: Any) -> Any:
        seen.append(torch.get_float32_matmul_precision())
        return loss(self, run, batch)

    monkeypatch.setattr(Finetune, "loss", noted)
    for word in ("false", "true"):
        plan = plan_for(["finetune"], ["cola"], tiny_causal, tiny_data, f"train.tf32={word}")
        trained(plan, tmp_path / word)
        assert torch.get_float32_matmul_precision() == "highest"
    assert seen == ["highest"] * 4 + ["high"] * 4
