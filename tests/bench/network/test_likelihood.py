"""Scores of label words against the slow way: one row, one word, the whole network at a time.

Which shortcuts it takes is found out by bench.network.probes, within bench.network.limits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from torch import nn

from bench.network.batches import Encoded, answer_batch, collate
from bench.network.likelihood import TaskModel, Way, answer_scores, example_losses, settled_on
from bench.network.limits import cached_bytes

CPU = torch.device("cpu")


def encoded(vocab: int) -> Encoded:
    """Rows with prompts of different lengths and words of one to three tokens."""
    generator = torch.Generator().manual_seed(0)

    def tokens(count: int) -> list[int]:
        return torch.randint(1, vocab, (count,), generator=generator).tolist()

    prompts = [tokens(count) for count in (3, 9, 5, 12, 1)]
    words = [[tokens(1), tokens(3), tokens(2)] for _ in prompts]
    return Encoded([str(i) for i in range(5)], [0, 1, 2, 0, 1], prompts, words, [], 0)


def nets() -> dict[str, Any]:
    small: dict[str, Any] = {"vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 2}
    heads: dict[str, Any] = {"num_attention_heads": 4, "intermediate_size": 48}
    return {
        "llama": lambda: hf.LlamaForCausalLM(
            hf.LlamaConfig(**small, **heads, num_key_value_heads=2)
        ),
        "gpt2": lambda: hf.GPT2LMHeadModel(
            hf.GPT2Config(vocab_size=50, n_embd=32, n_layer=2, n_head=4)
        ),
        "neox": lambda: hf.GPTNeoXForCausalLM(hf.GPTNeoXConfig(**small, **heads)),
        "qwen2": lambda: hf.Qwen2ForCausalLM(
            hf.Qwen2Config(**small, **heads, num_key_value_heads=2)
        ),
        # caps its logits behind the output embedding, so that shortcuts must be refused
        "gemma2": lambda: hf.Gemma2ForCausalLM(
            hf.Gemma2Config(
                **small, **heads, num_key_value_heads=2, head_dim=8, final_logit_softcapping=0.1
            )
        ),
    }


def slow_scores(net: Any, rows: Encoded) -> list[list[float]]:
    """Summed log-likelihood of each word, by the network's own forward pass on one text."""
    scores = []
    for prompt, words in zip(rows.prompts, rows.answers, strict=True):
        scores.append([])
        for word in words:
            logits = net(input_ids=torch.tensor([prompt + word])).logits[0].double()
            likely = logits.log_softmax(-1)
            places = range(len(prompt) - 1, len(prompt) + len(word) - 1)
            values = [likely[p, t] for p, t in zip(places, word, strict=True)]
            scores[-1].append(float(sum(values)))
    return scores


@pytest.mark.parametrize("name", list(nets()))
@pytest.mark.parametrize("reuse", [True, False])
def test_words_score_as_in_a_slow_loop(name: str, reuse: bool) -> None:
    torch.manual_seed(0)
    net = nets()[name]().eval()
    for parameter in net.parameters():  # far from uniform, or every mistake looks like rounding
        parameter.data += 0.2 * torch.randn_like(parameter)
    model, rows = TaskModel(net), encoded(50)
    with torch.inference_mode(), settled_on(model, rows, 0, CPU):
        assert model.way is (Way.WHOLE if name == "gemma2" else Way.SHARED)
        got = answer_scores(model, rows, range(5), 0, CPU, worth=0 if reuse else 1 << 30)
        want = torch.tensor(slow_scores(net, rows))
    assert torch.allclose(got.double(), want.double(), atol=2e-5)


def test_loss_is_the_networks_own(tiny_causal: Path) -> None:
    net = hf.AutoModelForCausalLM.from_pretrained(tiny_causal).eval()
    rows = encoded(40)
    model = TaskModel(net)
    losses = example_losses(model, collate(rows, range(5), 0))
    for i, (prompt, words) in enumerate(zip(rows.prompts, rows.answers, strict=True)):
        word = words[rows.gold[i]]
        labels = torch.tensor([[-100] * len(prompt) + word])
        own = net(input_ids=torch.tensor([prompt + word]), labels=labels).loss
        assert float(losses[i]) / len(word) == pytest.approx(float(own), rel=1e-5)


def test_losses_that_nobody_learns_from_are_the_same_bits_in_parts(
    tiny_causal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = TaskModel(hf.AutoModelForCausalLM.from_pretrained(tiny_causal).eval())
    batch = collate(encoded(40), range(5), 0)
    at_once = example_losses(model, batch).detach()
    monkeypatch.setattr("bench.network.likelihood._LOSS_LOGITS", 3 * model.net.config.vocab_size)
    with torch.no_grad():
        assert torch.equal(example_losses(model, batch), at_once)


@pytest.mark.parametrize("name", list(nets()))
def test_a_token_has_as_many_keys_and_values_as_its_configuration_says(name: str) -> None:
    net = nets()[name]().eval()
    with torch.no_grad():
        cache = net.base_model(input_ids=torch.ones(2, 5).long(), use_cache=True).past_key_values
    kept = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    assert kept == 2 * 5 * cached_bytes(net.config)


def test_layers_that_differ_have_keys_and_values_of_their_own() -> None:
    """Of Gemma 4 every sixth layer has heads of twice the width."""
    if "gemma4_text" not in hf.CONFIG_MAPPING:
        pytest.skip("this transformers has no Gemma 4")
    config = hf.AutoConfig.for_model("gemma4_text")
    assert cached_bytes(config) == 2 * 4 * 4 * (25 * 256 + 5 * 512)


def test_padding_changes_nothing(tiny_causal: Path) -> None:
    model = TaskModel(hf.AutoModelForCausalLM.from_pretrained(tiny_causal).eval())
    pairs = [([2, 5, 7], [9]), ([2, 5, 7, 8, 9, 10, 11], [3, 4])]
    alone = [float(example_losses(model, answer_batch([pair], 0))) for pair in pairs]
    together = example_losses(model, answer_batch(pairs, 31)).tolist()
    assert together == pytest.approx(alone, rel=1e-5)


def test_an_encoder_scores_by_its_head(tiny_encoder: Path) -> None:
    torch.manual_seed(0)
    net = hf.AutoModelForSequenceClassification.from_pretrained(tiny_encoder, num_labels=3).eval()
    rows = Encoded(["0", "1"], [0, 2], [[2, 9, 3], [2, 9, 8, 7, 3]], [], [[0] * 3, [0] * 5], 0)
    got = answer_scores(TaskModel(net), rows, [0, 1], 0, CPU)
    for i, ids in enumerate(rows.prompts):
        assert torch.allclose(got[i], net(input_ids=torch.tensor([ids])).logits[0], atol=1e-5)
    loss = example_losses(TaskModel(net), collate(rows, [0, 1], 0))
    want = nn.functional.cross_entropy(got, torch.tensor([0, 2]), reduction="none")
    assert torch.allclose(loss, want, atol=1e-5)


def test_a_head_with_one_output_has_a_squared_error(tiny_encoder: Path) -> None:
    torch.manual_seed(0)
    net = hf.AutoModelForSequenceClassification.from_pretrained(tiny_encoder, num_labels=1).eval()
    prompts, types = [[2, 9, 3], [2, 9, 8, 7, 3]], [[0] * 3, [0] * 5]
    rows = Encoded(["0", "1"], [0, 2], prompts, [], types, 0, references=[0.25, 4.5])
    loss = example_losses(TaskModel(net), collate(rows, [0, 1], 0))
    for i, (ids, score) in enumerate(zip(prompts, rows.references, strict=True)):
        own = net(input_ids=torch.tensor([ids]), labels=torch.tensor([score])).loss
        assert float(loss[i]) == pytest.approx(float(own), rel=1e-4)
