"""Rows to batches: what is masked, what is cut, and an order that no method can change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from bench.cells.recipe import Training
from bench.core.errors import BenchError
from bench.network.batches import (
    IGNORE,
    Encoded,
    collate,
    epoch_order,
    micro_batches,
    step_batches,
)
from bench.network.encoding import encode
from bench.planning.plugins import load_builtin
from bench.rows.task import TASKS


@pytest.fixture(scope="module")
def tokenizer(tiny_causal: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_causal)


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    texts = ["the cat sat", "the dog sat on the mat", "a cat", "dogs the on sat sat the mat cat"]
    return [{"id": str(i), "sentence": t, "label": i % 2} for i, t in enumerate(texts)]


@pytest.fixture(scope="module")
def encoded(tokenizer: Any, rows: list[dict[str, Any]]) -> Encoded:
    load_builtin()
    return encode(rows, TASKS.get("cola"), tokenizer, "causal", 64)


def test_prompt_and_word_make_the_whole_text(
    encoded: Encoded, tokenizer: Any, rows: list[dict[str, Any]]
) -> None:
    task = TASKS.get("cola")
    for i, row in enumerate(rows):
        for word, answer in zip(task.words, encoded.answers[i], strict=True):
            whole = tokenizer(f"{task.prompt.format(**row)} {word}")["input_ids"]
            assert encoded.prompts[i] + answer == whole
            assert answer


def test_only_the_answer_is_predicted(encoded: Encoded) -> None:
    batch = collate(encoded, [0, 3], pad=0)
    assert batch.positions is not None
    for row, i in enumerate([0, 3]):
        answer = encoded.answers[i][encoded.gold[i]]
        kept = batch.targets[row] != IGNORE
        assert batch.targets[row][kept].tolist() == answer
        # the logits at `positions` stand one token before what they predict
        text = encoded.prompts[i] + answer
        seen = [text[p + 1] for p in batch.positions[row][kept].tolist()]
        assert seen == answer
        assert batch.inputs["input_ids"][row, : len(text) - 1].tolist() == text[:-1]


def test_too_long_a_text_loses_its_end_and_not_the_question(
    tokenizer: Any, rows: list[dict[str, Any]]
) -> None:
    task = TASKS.get("cola")
    long = [{**rows[0], "sentence": "the cat sat on the mat " * 40}]
    cut = encode(long, task, tokenizer, "causal", 40)
    assert cut.truncated == 1
    assert max(len(cut.prompts[0]) + len(a) for a in cut.answers[0]) <= 40
    question = tokenizer(task.prompt.format(sentence=""))["input_ids"]
    assert cut.prompts[0][-4:] == question[-4:]
    assert len(cut.prompts[0]) > 30  # most of the room is used
    with pytest.raises(BenchError, match=r"the prompt around a row has \d+ tokens, and 7 is"):
        encode(long, task, tokenizer, "causal", 8)


def test_words_that_the_tokenizer_cannot_tell_apart(
    tokenizer: Any, rows: list[dict[str, Any]]
) -> None:
    from dataclasses import replace

    task = replace(TASKS.get("cola"), words=("no", "no"))
    with pytest.raises(BenchError, match="cannot tell the words no, no apart"):
        encode(rows, task, tokenizer, "causal", 64)


@pytest.mark.parametrize("batching", ["bucketed", "random"])
def test_an_epoch_has_every_example_once(batching: str) -> None:
    lengths = [(7 * i) % 50 for i in range(103)]
    batches = epoch_order(lengths, 8, batching, "cola", 0, "order", 0)
    assert sorted(i for batch in batches for i in batch) == list(range(103))
    assert sorted(map(len, batches)) == [7] + [8] * 12
    assert batches == epoch_order(lengths, 8, batching, "cola", 0, "order", 0)
    assert batches != epoch_order(lengths, 8, batching, "cola", 1, "order", 0)
    assert batches != epoch_order(lengths, 8, batching, "cola", 0, "order", 1)


def test_buckets_pad_less() -> None:
    lengths = [(7919 * i) % 97 for i in range(512)]

    def padding(batching: str) -> int:
        batches = epoch_order(lengths, 16, batching, "seed")
        return sum(max(lengths[i] for i in b) - lengths[j] for b in batches for j in b)

    assert padding("bucketed") < 0.2 * padding("random")


def test_steps_go_on_where_they_stopped_in_any_epoch(encoded: Encoded) -> None:
    many = Encoded(
        [str(i) for i in range(21)], [0] * 21, [[1] * (i + 1) for i in range(21)],
        [[[5], [6]]] * 21, [], 0,
    )  # fmt: skip
    recipe = Training(batch_size=4)
    whole = list(step_batches(many, recipe, "cola", 0, 0, 17))
    assert len(whole) == 17  # 6 steps an epoch: the third is under way
    assert whole[6:12] != whole[:6]
    for stop in (1, 5, 6, 7, 13):
        first = list(step_batches(many, recipe, "cola", 0, 0, stop))
        rest = list(step_batches(many, recipe, "cola", 0, stop, 17))
        assert first + rest == whole


@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("size", [None, 1, 3])
def test_shares_of_a_step_hold_each_example_once_and_scale_to_the_mean(
    world: int, size: int | None
) -> None:
    answers = [[[5], [6, 7, 8]]] * 7
    encoded = Encoded(list("abcdefg"), [0, 1, 0, 1, 1, 0, 0], [[1, 2]] * 7, answers, [], 0)
    tokens = sum(len(answers[i][encoded.gold[i]]) for i in range(7))
    shares = [micro_batches(encoded, list(range(7)), size, 0, r, world) for r in range(world)]
    assert len({len(parts) for parts in shares}) == 1  # all processes take part in every average
    weights = [
        (part.scale / world, int((part.targets[row] != IGNORE).sum()))
        for parts in shares
        for part in parts
        for row in range(len(part))
    ]
    assert sum(scale * count for scale, count in weights) == pytest.approx(1.0)
    assert sum(scale > 0 for scale, _ in weights) == 7
    assert {scale for scale, _ in weights if scale} == {1 / tokens}


def test_an_encoder_reads_a_pair(tiny_encoder: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_encoder)
    load_builtin()
    row = {"id": "0", "sentence1": "the cat sat", "sentence2": "a dog sat", "label": 1}
    encoded = encode([row, row], TASKS.get("rte"), tokenizer, "encoder", 32)
    batch = collate(encoded, [0, 1], tokenizer.pad_token_id)
    assert batch.positions is None
    assert batch.targets.tolist() == [1, 1]
    assert torch.all(batch.inputs["attention_mask"] == 1)
    text = tokenizer.decode(encoded.prompts[0])
    assert text.count("cat") == text.count("dog") == 1
