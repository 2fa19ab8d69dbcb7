"""Greedy text, in batches with padding on the left, against one prompt and one token at a time."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers as hf

from bench.network.generation import greedy


def test_greedy_text_is_that_of_a_slow_loop(tiny_causal: Path) -> None:
    net = hf.AutoModelForCausalLM.from_pretrained(tiny_causal)
    tokenizer = hf.AutoTokenizer.from_pretrained(tiny_causal)
    texts = ["the cat", "a bird saw the king in the garden . the", "the", "Sentence : the dog"]
    prompts = tokenizer(texts)["input_ids"]
    written = greedy(net.train(), tokenizer, prompts, max_new_tokens=12)
    assert net.training
    net.eval()
    stopped = 0
    for prompt, got in zip(prompts, written, strict=True):
        ids: list[int] = []
        while len(ids) < 12:
            with torch.no_grad():
                token = int(net(input_ids=torch.tensor([prompt + ids])).logits[0, -1].argmax())
            if token == tokenizer.eos_token_id:
                stopped += 1
                break
            ids.append(token)
        assert got == ids
    assert stopped, "some text should end by itself"


def test_nothing_to_write(tiny_causal: Path) -> None:
    net = hf.AutoModelForCausalLM.from_pretrained(tiny_causal)
    tokenizer = hf.AutoTokenizer.from_pretrained(tiny_causal)
    assert greedy(net, tokenizer, [], max_new_tokens=3) == []
