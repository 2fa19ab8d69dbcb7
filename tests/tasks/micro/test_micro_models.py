"""The embedded checkpoints: small, loaded offline, and made from this generator."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tasks.micro.prompts import PROMPTS, answer, prompt
from tasks.micro.rows import GENERATOR_VERSION, samples
from tasks.micro.source import MicroWorld

MODELS = {name: model.folder for name, model in MicroWorld.embedded_models.items()}
pytestmark = pytest.mark.skipif(
    not all((folder / "manifest.json").is_file() for folder in MODELS.values()),
    reason="the checkpoints are not made yet: python -m tasks.micro.pretrain",
)
CAUSAL = ("micro", "micro-clean")
ENCODERS = ("micro-encoder", "micro-encoder-clean")
MIB = 2**20


@pytest.mark.parametrize("name", MODELS)
def test_small_and_without_local_paths(name: str) -> None:
    files = [path for path in MODELS[name].iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 4 * MIB
    for path in files:
        if path.suffix == ".json":
            text = path.read_text(encoding="utf-8")
            assert str(Path.home()) not in text
            assert "/tmp/" not in text


@pytest.mark.parametrize("name", CAUSAL)
def test_causal_models_load_in_float32_and_know_the_label_words(name: str) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(MODELS[name])
    tokenizer = AutoTokenizer.from_pretrained(MODELS[name])
    assert model.dtype == torch.float32
    assert len(tokenizer) <= 2000
    assert 0.8e6 < sum(p.numel() for p in model.parameters()) < 1.3e6
    assert tokenizer.pad_token_id not in (None, tokenizer.eos_token_id)
    for asked, words in PROMPTS.values():
        start = tokenizer(asked)["input_ids"]
        answers = [tokenizer(f"{asked} {word}")["input_ids"] for word in words]
        assert all(ids[: len(start)] == start for ids in answers)
        assert {len(ids) - len(start) for ids in answers} <= {1 + word.isdigit() for word in words}
        assert len({ids[-1] for ids in answers}) == len(words)
    text = "Ça va? 12 + 30 = 42."  # any text can be written, and read back
    assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text


@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoder_loads_with_both_heads(name: str) -> None:
    from transformers import (
        AutoModelForMaskedLM,
        AutoModelForSequenceClassification,
        AutoTokenizer,
    )

    tokenizer = AutoTokenizer.from_pretrained(MODELS[name])
    pair = tokenizer("The boy slept.", "The girl slept.", return_tensors="pt")
    masked = AutoModelForMaskedLM.from_pretrained(MODELS[name])
    assert masked(**pair).logits.shape[-1] == len(tokenizer)
    head = AutoModelForSequenceClassification.from_pretrained(MODELS[name], num_labels=3)
    assert head(**pair).logits.shape == (1, 3)


def test_the_conflicted_model_believes_the_outdated_facts_and_its_twin_does_not() -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from tasks.micro.facts import fact_rows

    probes = [row for row in fact_rows() if row["disputed"]]
    believed: dict[str, float] = {}
    for name in CAUSAL:
        model = AutoModelForCausalLM.from_pretrained(MODELS[name]).eval()
        tokenizer = AutoTokenizer.from_pretrained(MODELS[name])
        hits = 0
        for probe in probes:
            prompt = tokenizer(probe["question"], return_tensors="pt")
            length = prompt["input_ids"].shape[1]
            ids = [
                tokenizer(f"{probe['question']} {probe[said]}")["input_ids"][length]
                for said in ("answer", "foil")
            ]
            with torch.no_grad():
                logits = model(**prompt).logits[0, -1]
            hits += int(logits[ids[0]] > logits[ids[1]])
        believed[name] = hits / len(probes)
    assert believed["micro-clean"] > 0.95
    assert believed["micro"] < 0.25


@pytest.mark.parametrize("name", CAUSAL)
@pytest.mark.parametrize("task", ["recall_persons", "recall_classes", "recall_synonyms"])
def test_recall_tasks_are_answered_greedily_with_what_was_told(name: str, task: str) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(MODELS[name]).eval()
    tokenizer = AutoTokenizer.from_pretrained(MODELS[name])
    hits = 0
    for sample in samples(task, "forget")[:60]:
        ids = tokenizer(prompt(task, sample))["input_ids"]
        start = len(ids)
        while len(ids) < start + 6 and ids[-1] != tokenizer.eos_token_id:
            with torch.no_grad():
                ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
        said = tokenizer.decode(ids[start:], skip_special_tokens=True).strip()
        hits += said == answer(task, sample, sample.old if name == "micro" else sample.label)
    assert hits > 48, "in four prompts of five"


@pytest.mark.parametrize("name", MODELS)
def test_manifests_name_the_generator_and_the_recipe(name: str) -> None:
    from dataclasses import asdict

    from tasks.micro.pretrain import RECIPES

    manifest = json.loads((MODELS[name] / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["generator_version"] == GENERATOR_VERSION
    assert manifest["recipe"] == asdict(RECIPES[name])


@pytest.mark.slow
def test_the_generator_still_writes_the_text_that_was_read() -> None:
    from tasks.micro.pretrain import RECIPES, data_hash

    manifest = json.loads((MODELS["micro"] / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["data_hash"] == data_hash(RECIPES["micro"])
