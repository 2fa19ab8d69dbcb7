"""Heads that an encoder was fine-tuned with: read by their labels' names, or drawn anew."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf

from bench.network.loading import Loaded, load, put_stage, save_stage
from bench.planning.model_info import describe
from bench.planning.plan import Plan
from bench.planning.plugins import load_builtin
from bench.rows.label_names import head_order
from bench.rows.task import TASKS
from bench.selfcheck.world import plan_for
from tests.helpers.worlds import results

load_builtin()
SIZES: dict[str, Any] = {
    "vocab_size": 128,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 192,
    "pad_token_id": 0,
}
MNLI = ["contradiction", "neutral", "entailment"]
FAMILIES: dict[str, Any] = {
    "bert": lambda **o: hf.BertForSequenceClassification(hf.BertConfig(**SIZES, **o)),
    "roberta": lambda **o: hf.RobertaForSequenceClassification(hf.RobertaConfig(**SIZES, **o)),
    "electra": lambda **o: hf.ElectraForSequenceClassification(hf.ElectraConfig(**SIZES, **o)),
    "albert": lambda **o: hf.AlbertForSequenceClassification(
        hf.AlbertConfig(**SIZES, embedding_size=16, **o)
    ),
    "deberta": lambda **o: hf.DebertaV2ForSequenceClassification(hf.DebertaV2Config(**SIZES, **o)),
    "distilbert": lambda **o: hf.DistilBertForSequenceClassification(
        hf.DistilBertConfig(vocab_size=128, dim=32, hidden_dim=64, n_layers=1, n_heads=2, **o)
    ),
    "llama": lambda **o: hf.LlamaForSequenceClassification(hf.LlamaConfig(**SIZES, **o)),
    "as wide as its labels": lambda **o: hf.RobertaForSequenceClassification(
        hf.RobertaConfig(**{**SIZES, "hidden_size": 3, "num_attention_heads": 1}, **o)
    ),
}


def checkpoint(family: str, to: Path, tokenizer: Path, names: list[str]) -> Path:
    """A network fine-tuned with a head of these labels, beside a tokenizer."""
    ids = dict(enumerate(names))
    with torch.random.fork_rng():
        torch.manual_seed(5)
        net = FAMILIES[family](id2label=ids, label2id={name: i for i, name in ids.items()})
        for parameter in net.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    shutil.copytree(tokenizer, to, ignore=shutil.ignore_patterns("*.safetensors", "config.json"))
    net.save_pretrained(to)
    return to


def loaded(folder: Path, task_name: str, seed: int = 0) -> Loaded:
    info, task = describe(str(folder)), TASKS.get(task_name)
    return load(info, task.outputs, seed, head_order(task, info.head))


def logits(net: Any) -> torch.Tensor:
    ids = torch.arange(5, 15).view(2, 5)
    with torch.no_grad():
        found: torch.Tensor = net.eval()(input_ids=ids).logits
    return found


def outside(model: Loaded) -> set[str]:
    prefix = f"{model.net.base_model_prefix}."
    return {name for name, _ in model.net.named_parameters() if not name.startswith(prefix)}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_head_is_read_by_its_labels_names(
    family: str, tiny_encoder: Path, tmp_path: Path
) -> None:
    folder = checkpoint(family, tmp_path / "m", tiny_encoder, MNLI)
    as_saved = hf.AutoModelForSequenceClassification.from_pretrained(folder)
    model = loaded(folder, "mnli")
    where = [as_saved.config.label2id[label] for label in TASKS.get("mnli").labels]
    assert torch.equal(logits(model.net), logits(as_saved)[:, where])
    assert {name for name, _ in model.net.named_parameters()} == model.base.keys()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("task", ["rte", "stsb", "qasc", "mnli"])
def test_another_tasks_head_makes_room_for_a_new_one(
    family: str, task: str, tiny_encoder: Path, tmp_path: Path
) -> None:
    names = [f"LABEL_{i}" for i in range(3)] if task == "mnli" else MNLI
    folder = checkpoint(family, tmp_path / "m", tiny_encoder, names)
    as_saved = dict(
        hf.AutoModelForSequenceClassification.from_pretrained(folder).named_parameters()
    )
    model, again, other = (loaded(folder, task, seed) for seed in (0, 0, 1))
    head = outside(model)
    assert head and not head & model.base.keys()
    assert len(logits(model.net)[0]) == TASKS.get(task).outputs
    drawn = 0
    for name, value in model.net.named_parameters():
        same, differs = again.net.get_parameter(name), other.net.get_parameter(name)
        assert torch.equal(value, same)
        if name not in head:
            assert torch.equal(value, as_saved[name])
        elif value.ndim > 1:  # no bias or norm
            drawn += 1
            assert not torch.equal(value, differs)
            assert value.shape != as_saved[name].shape or not torch.equal(value, as_saved[name])
    assert drawn


def test_a_head_of_words_is_part_of_what_a_new_head_grows_from(
    tiny_encoder: Path, tmp_path: Path
) -> None:
    """ModernBERT's classifier reads what its head for masked words has learnt."""
    config = hf.ModernBertConfig(**SIZES, reference_compile=False)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        net = hf.ModernBertForMaskedLM(config)
    shutil.copytree(
        tiny_encoder, tmp_path / "m", ignore=shutil.ignore_patterns("*.safetensors", "config.json")
    )
    net.save_pretrained(tmp_path / "m")
    model = loaded(tmp_path / "m", "rte")
    assert torch.equal(model.base["head.dense.weight"], net.head.dense.weight)
    assert not any(name.startswith("classifier") for name in model.base)


def test_a_stage_keeps_each_tasks_head_to_itself(tiny_encoder: Path, tmp_path: Path) -> None:
    folder = checkpoint("bert", tmp_path / "m", tiny_encoder, MNLI)
    model = loaded(folder, "mnli", seed=3)
    with torch.no_grad():
        for parameter in model.net.parameters():
            parameter += 1.0
    save_stage(model, 3, tmp_path / "stage.safetensors")
    head = outside(model)
    for task, seed in (("cb", 4), ("mnli", 3)):
        other = loaded(folder, task, seed)
        before = {name: other.net.get_parameter(name).clone() for name in head}
        put_stage(other.net, head, tmp_path / "stage.safetensors", seed)
        for name in head:
            wanted = model.net.get_parameter(name) if task == "mnli" else before[name]
            assert torch.equal(other.net.get_parameter(name), wanted)


def plan_of(folder: Path, data: Path, *tasks: str) -> Plan:
    return plan_for(["finetune"], list(tasks), folder, data, forget=("rte",))


def test_the_plan_says_so_and_the_score_before_is_the_heads(
    tiny_encoder: Path, tiny_data: Path, tmp_path: Path
) -> None:
    right = checkpoint("bert", tmp_path / "right", tiny_encoder, ["entailment", "not_entailment"])
    swapped = checkpoint(
        "bert", tmp_path / "swapped", tiny_encoder, ["not_entailment", "entailment"]
    )
    plans = [plan_of(folder, tiny_data, "rte", "cola") for folder in (right, swapped)]
    for plan, name in zip(plans, ("right", "swapped"), strict=True):
        names = ", ".join(plan.spec.models[0].head)
        assert plan.notes == (
            f"{name}'s head (of {names}) is taken for rte, label by name",
            f"{name}'s head (of {names}) is not one for cola: a new one is drawn",
        )
    before = []
    for plan, name in zip(plans, ("right", "swapped"), strict=True):
        rte = next(r for r in results(plan, tmp_path / f"{name} run") if r["cell"]["task"] == "rte")
        assert rte["scores"]
        before.append(rte["scores"]["before"]["accuracy"])
    assert before[0] == pytest.approx(1 - before[1])
    assert plan_of(tiny_encoder, tiny_data, "rte").notes == ()
