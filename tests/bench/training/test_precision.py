"""bfloat16 is for the passes that train; what is kept or compared is float32, unless asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from torch import nn

from bench.gradients.fisher import forgetting_confidence
from bench.network.likelihood import TaskModel
from bench.planning.plugins import load_builtin
from bench.scoring.evaluation import drift, write_rows
from bench.selfcheck.checks import same
from bench.selfcheck.world import World, plan_for, stage_for, trained, weights
from bench.training.loop import train
from bench.training.method import METHODS
from methods.finetune import Finetune
from methods.shared.task_fisher import task_fisher
from methods.shared.text_fisher import base_fisher

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


SCORING = "train.scoring=bfloat16"


@pytest.mark.parametrize("kind", ["causal", "encoder"])
def test_scores_are_narrow_on_request(kind: str, world: World, tmp_path: Path) -> None:
    """Near those of float32 (by 2 % of the largest, where bfloat16 has eight bits), also where the
    two share a cache; and no step of the training is another one."""
    plans = [world.plan("finetune", kind, *words) for words in ((), (SCORING,))]
    both = [stage_for(plan, tmp_path) for plan in plans]
    assert both[0].cell.hash != both[1].cell.hash
    for base in (True, False):
        found = [stage.measuring.measure(base, ("scores", "retention")) for stage in both]
        (wide, narrow), (before, after) = (
            [torch.tensor(each.outputs["dev"].scores) for each in found],
            [each.retention.loss for each in found if each.retention],
        )
        assert not torch.equal(wide, narrow) and before != after
        assert float((narrow - wide).abs().max()) < 0.02 * float(wide.abs().max())
        assert after == pytest.approx(before, rel=1e-3)
        for stage in both:
            train(stage.run, stage.method, None)
    assert same(weights(both[0]), weights(both[1]))


def test_answers_are_written_narrow_too(tiny_causal: Path, world: World, tmp_path: Path) -> None:
    """Side by side, as in float32; and narrow is what is read behind a prompt that answers share,
    by a path of its own."""
    seen: list[torch.dtype] = []
    rows: list[int] = []

    def note(_module: nn.Module, _args: Any, out: torch.Tensor) -> None:
        seen.append(out.dtype)
        rows.append(len(out))

    stage = stage_for(world.plan("finetune", "causal", SCORING), tmp_path)
    run, layer = stage.run, stage.run.net.model.layers[0].mlp.down_proj
    layer.register_forward_hook(note)
    write_rows(run.task_model, stage.shown[1], run.tokenizer, 3, run.accelerator)
    assert set(seen) == {torch.bfloat16} and max(rows) == len(stage.shown[1])
    stage.measuring.measure(False, ("scores",))
    assert run.task_model.ways["score"] == "shared"
    assert set(seen) == {torch.bfloat16}


@pytest.mark.parametrize("kind", ["causal", "encoder"])
def test_fisher_is_narrow_on_request(kind: str, world: World, tmp_path: Path) -> None:
    """Its passes, that is; the sums over squares are float32, and the information is that of
    float32 but for 1 % of its length, of a task as of a text."""
    found = []
    for words in ((), (SCORING,)):
        run = stage_for(world.plan("finetune", kind, *words), tmp_path).run
        found.append((task_fisher(run, 16), base_fisher(run, sampled=False, blocks=8)))
    for wide, narrow in zip(*found, strict=True):
        assert {value.dtype for value in narrow.values()} == {torch.float32}
        one, other = (torch.cat([x.flatten() for x in each.values()]) for each in (wide, narrow))
        apart = float((other - one).norm() / one.norm())
        assert 1e-5 < apart < 0.01
