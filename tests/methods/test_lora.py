"""LoRA: the merged weights written out, what stays frozen, and that nothing of it remains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from safetensors.torch import load_file
from torch import Tensor

from bench.core.errors import CellError, RefusedError
from bench.running.session import CellSession
from bench.scoring.evaluation import drift
from bench.selfcheck.checks import same
from bench.selfcheck.world import World, stage_for, trained, weights
from bench.training.loop import train
from bench.training.method import METHODS
from methods.lora.method import LoRA
from methods.lora.settings import LoRAConfig

KINDS = pytest.mark.parametrize("kind", ["causal", "encoder"])
WORDS = "lora.r=3", "lora.alpha=6", "lora.lr_factor=5"


class Kept(LoRA):
    """LoRA that keeps a copy of the network's parameters as they are before merging."""

    def finish(self, run: Any) -> None:
        self.kept = {name: p.detach().clone() for name, p in run.net.named_parameters()}
        super().finish(run)


@pytest.fixture
def ended(world: World, tmp_path: Path) -> Any:
    """A trained cell, and its parameters just before merging."""

    def make(kind: str, *words: str) -> tuple[CellSession, dict[str, Tensor]]:
        stage = stage_for(world.plan("lora", kind, *WORDS, *words), tmp_path)
        method = Kept(stage.method.config)
        train(stage.run, method, None)
        return stage, method.kept

    return make


@KINDS
def test_merged_weights_are_those_of_the_paper(kind: str, ended: Any) -> None:
    """W0 + (α/r) B A of rank r in every layer, W0 untouched till then, the rest as it was."""
    stage, kept = ended(kind)
    base, after = stage.loaded.base, weights(stage)
    layers = [n.removesuffix(".lora_A.default.weight") for n in kept if ".lora_A." in n]
    blocks = {"causal": 7, "encoder": 6}[kind]  # linear layers in a block
    assert len(layers) == 2 * blocks
    for layer in layers:
        a, b = (kept[f"{layer}.lora_{part}.default.weight"] for part in "AB")
        assert torch.equal(kept[f"{layer}.base_layer.weight"], base[f"{layer}.weight"])
        assert a.shape[0] == b.shape[1] == 3
        change = after[f"{layer}.weight"] - base[f"{layer}.weight"]
        torch.testing.assert_close(change, 6 / 3 * b @ a, rtol=1e-4, atol=1e-6)
        assert int(torch.linalg.matrix_rank(change.double(), rtol=1e-4)) == 3
    for name in base.keys() - {f"{layer}.weight" for layer in layers}:
        assert torch.equal(after[name], base[name]), name
    assert after.keys() == weights(stage_of_base(stage)).keys()


@pytest.mark.parametrize("held", ["float32", "bfloat16"])
@KINDS
def test_theta0_is_the_frozen_base_itself(kind: str, held: str, ended: Any) -> None:
    """No weight of it is copied or changed; a layer's new weight is the sum, rounded once; drift is
    what the adapters added."""
    stage, kept = ended(kind, f"train.weights={held}")
    base, fresh = stage.loaded.base, stage_of_base(stage)
    assert all(
        x.data_ptr() == fresh.run.net.get_parameter(n).data_ptr()
        for n, x in fresh.loaded.base.items()
    )
    assert all(torch.equal(x, fresh.loaded.base[n]) for n, x in base.items())
    assert {x.dtype for n, x in kept.items() if ".lora_" in n} == {torch.float32}
    assert {x.dtype for x in base.values()} == {getattr(torch, held)}
    total = 0.0
    for name, after in stage.loaded.pretrained():
        layer = name.removesuffix(".weight")
        if f"{layer}.lora_A.default.weight" not in kept:
            assert after.data_ptr() == base[name].data_ptr()
            continue
        a, b = (kept[f"{layer}.lora_{part}.default.weight"] for part in "AB")
        wanted = (base[name] + 6 / 3 * b @ a).to(after.dtype)
        torch.testing.assert_close(
            after.detach(), wanted, rtol=1e-6 if held == "float32" else 8e-3, atol=1e-7
        )
        total += float((wanted.double() - base[name].double()).square().sum())
    assert drift(stage.loaded) == pytest.approx(total, rel=1e-3)


def test_a_checkpoint_holds_what_is_trained(world: World, tmp_path: Path) -> None:
    words = "train.select=best-on-dev", "train.eval_every=1"
    stage = stage_for(world.plan("lora", "encoder", *words), tmp_path)
    train(stage.run, stage.method, tmp_path / "stopped", stop_at=2)
    new = {name for name in weights(stage_of_base(stage)) if name not in stage.loaded.base}
    for file in ("weights", "best"):
        names = load_file(tmp_path / "stopped" / f"{file}.safetensors").keys()
        assert names > new and all(".lora_" in name for name in names - new)


def stage_of_base(stage: CellSession) -> CellSession:
    """The same cell, untouched."""
    return CellSession(stage.cell, stage.workspace)


@KINDS
def test_nothing_of_it_remains_and_a_new_head_is_trained(kind: str, ended: Any) -> None:
    stage, _ = ended(kind)
    fresh = stage_of_base(stage)
    assert str(stage.run.net) == str(fresh.run.net)
    assert all(p.requires_grad for p in stage.run.net.parameters())
    assert not hasattr(stage.run.net, "peft_config")
    before, after = weights(fresh), weights(stage)
    head = before.keys() - stage.loaded.base.keys()
    assert bool(head) == (kind == "encoder")
    assert not any(torch.equal(before[name], after[name]) for name in head if "weight" in name)


def test_adapters_have_a_rate_of_their_own(world: World, tmp_path: Path) -> None:
    stage = stage_for(world.plan("lora", "encoder", *WORDS, "train.lr=1e-4"), tmp_path)
    groups = stage.method.optimizer(stage.run).param_groups
    rates = {name: group["lr"] for group in groups for name in group["names"]}
    trainable = {name for name, p in stage.run.net.named_parameters() if p.requires_grad}
    assert rates.keys() == trainable
    for name, rate in rates.items():
        assert rate == pytest.approx(5e-4 if ".lora_" in name else 1e-4), name


def test_a_resumed_run_starts_from_the_adapters_that_were_saved(
    world: World, tmp_path: Path
) -> None:
    """With dropout, stacked, after a stop: bit for bit (plain `lora` is among the identities)."""
    plan = world.plan("distill+lora", "causal", "lora.dropout=0.1", "train.steps=5")
    whole = weights(trained(plan, tmp_path))
    first = stage_for(plan, tmp_path)
    train(first.run, first.method, tmp_path / "stopped", stop_at=3)
    second = stage_for(plan, tmp_path)
    assert train(second.run, second.method, tmp_path / "stopped")["resumes"] == 1
    assert same(weights(second), whole)
    plain = weights(trained(world.plan("lora", "causal", "train.steps=5"), tmp_path))
    assert plain.keys() == whole.keys() and not same(plain, whole)


@pytest.mark.filterwarnings("error::UserWarning")  # peft would put it right, aloud
def test_gpt2s_transposed_layers(world: World, tmp_path: Path) -> None:
    """Its Conv1D keeps W as [in, out]: the change is the transpose, and the output is the same."""
    stage = stage_for(world.plan("lora", "causal", *WORDS), tmp_path)
    net = hf.GPT2LMHeadModel(hf.GPT2Config(vocab_size=20, n_embd=8, n_layer=1, n_head=2)).eval()
    run, method = stage.run, stage.method
    run.net = run.loaded.net = net
    run.loaded.base = {name: p.detach().clone() for name, p in net.named_parameters()}
    method.optimizer(run)
    torch.manual_seed(1)
    parts = {n: p for n, p in net.named_parameters() if ".lora_" in n}
    assert len(parts) == 2 * 4, "four layers of the block, and not the output layer"
    for parameter in parts.values():
        parameter.data = torch.randn_like(parameter)
    ids = torch.randint(20, (2, 5))
    wanted = net(input_ids=ids).logits
    method.finish(run)
    torch.testing.assert_close(net(input_ids=ids).logits, wanted, rtol=1e-4, atol=1e-4)
    name = "transformer.h.0.mlp.c_fc"
    a, b = (parts[f"{name}.lora_{part}.default.weight"] for part in "AB")
    change = net.get_parameter(f"{name}.weight") - run.loaded.base[f"{name}.weight"]
    torch.testing.assert_close(change, 2 * (b @ a).T, rtol=1e-4, atol=1e-5)


def test_targets_are_named_or_the_names_are_given(ended: Any) -> None:
    _, kept = ended("causal", "lora.targets=q_proj+v_proj")
    found = {name.split(".lora_A.")[0].rpartition(".")[2] for name in kept if ".lora_A." in name}
    assert found == {"q_proj", "v_proj"}


def test_a_target_that_the_model_has_not(world: World, tmp_path: Path) -> None:
    """Known before anything starts; but for a new head, known to be one with the weights only."""
    message = r"no linear layer 'q'; it has down_proj, .*q_proj"
    with pytest.raises(RefusedError, match=message):
        world.plan("lora", "causal", "lora.targets=q")
    run = stage_for(world.plan("lora", "causal"), tmp_path).run
    with pytest.raises(CellError, match=message):
        LoRA(LoRAConfig(targets="q_proj+q")).optimizer(run)
    head = stage_for(world.plan("lora", "encoder", "lora.targets=classifier"), tmp_path)
    with pytest.raises(CellError, match="no linear layer 'classifier'; it has dense, "):
        head.method.optimizer(head.run)


@pytest.mark.parametrize(
    ("stack", "reason"),
    [
        ("ewc+lora", "ewc pulls the pretrained weights, and lora freezes them"),
        ("recadam+lora", "recadam .*, and lora freezes them"),
        ("mixout+lora", "mixout swaps pretrained weights that moved, and lora freezes them"),
        ("freeze+lora", "freeze trains some pretrained weights only, and lora freezes them all"),
    ],
)
def test_what_has_nothing_to_do_under_it_is_refused(stack: str, reason: str, world: World) -> None:
    assert METHODS.get("lora") is LoRA
    with pytest.raises(RefusedError, match=reason):
        world.plan(stack, "causal")
