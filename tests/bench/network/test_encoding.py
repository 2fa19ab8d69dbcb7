"""Rows to tokens, for each kind of task."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.core.errors import BenchError
from bench.network.encoding import encode
from bench.planning.plugins import load_builtin
from bench.rows.task import TASKS

load_builtin()
QUIZ = {"id": "7", "question": "the cat saw a", "a": "dog", "b": "bird in the house", "label": 1}
QUIZ |= {"c": "king", "d": "king"}
SUM = {"id": "7", "question": "the cat saw a", "answer": "dog and bird #### 2", "label": 0}


@pytest.fixture(scope="module")
def tokenizer(tiny_causal: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_causal)


def test_choices_stand_behind_the_prompt(tokenizer: Any) -> None:
    task = TASKS.get("psychol")
    encoded = encode([QUIZ, QUIZ], task, tokenizer, "causal", 64)
    prompt = task.prompt.format(**QUIZ)
    for choice, answer in zip("abcd", encoded.answers[1], strict=True):
        whole = tokenizer(f"{prompt} {QUIZ[choice]}")["input_ids"]
        assert encoded.prompts[1] + answer == whole
    assert encoded.gold == encoded.references == [1, 1]
    assert encoded.sizes[0] == [3, 17, 4, 4]
    assert encoded.truncated == 0
    with pytest.raises(BenchError, match="task psychol, row 7: an answer is empty"):
        encode([{**QUIZ, "c": ""}], task, tokenizer, "causal", 64)


def test_a_solution_ends_with_the_end_token(tokenizer: Any) -> None:
    task = TASKS.get("gsm8k")
    encoded = encode([SUM], task, tokenizer, "causal", 600)
    ((answer,),) = encoded.answers
    assert answer[-1] == tokenizer.eos_token_id
    whole = tokenizer(f"{task.prompt.format(**SUM)} {SUM['answer']}")["input_ids"]
    assert encoded.prompts[0] + answer[:-1] == whole
    assert encoded.references == ["2"]
    with pytest.raises(BenchError, match="row 7: its answer holds nothing to compare"):
        encode([{**SUM, "answer": "2"}], task, tokenizer, "causal", 600)


def test_a_prompt_leaves_room_for_what_is_to_be_written(tokenizer: Any) -> None:
    task, limit = TASKS.get("gsm8k"), 60
    long = {**SUM, "question": "the cat saw a " * 20}
    encoded = encode([long], task, tokenizer, "causal", limit)
    assert encoded.truncated == 1
    assert len(encoded.prompts[0]) <= limit - 30  # 256 new tokens would not leave any
    long = {**SUM, "answer": "the cat saw a " * 20 + "#### 2"}
    encoded = encode([long], task, tokenizer, "causal", limit)
    assert (encoded.truncated, len(encoded.answers[0][0])) == (1, 30)
    assert encoded.references == ["2"]


def test_a_score_is_trained_as_the_nearest_word(tokenizer: Any) -> None:
    task = TASKS.get("stsb")
    # a word-level vocabulary has no digits: to it they are all the same word
    with pytest.raises(BenchError, match="cannot tell the words 0, 1, 2, 3, 4, 5 apart"):
        encode(scored(1.0), task, tokenizer, "causal", 64)
    assert [task.gold(row) for row in scored(0, 0.2, 2.4, 2.6, 4.9, 5)] == [0, 0, 2, 3, 5, 5]


def test_an_encoder_learns_the_score_itself(tiny_encoder: Path) -> None:
    from transformers import AutoTokenizer

    from bench.network.batches import collate

    tokenizer = AutoTokenizer.from_pretrained(tiny_encoder)
    encoded = encode(scored(1, 4.5), TASKS.get("stsb"), tokenizer, "encoder", 64)
    batch = collate(encoded, [0, 1], tokenizer.pad_token_id)
    assert batch.targets.is_floating_point()
    assert batch.targets.tolist() == [1.0, 4.5]


def test_an_encoder_reads_columns_behind_the_first_as_one(tiny_encoder: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_encoder)
    task = replace(TASKS.get("rte"), columns=("first", "second", "third"))
    row = {"id": "7", "first": "a cat", "second": "the dog", "third": "a king", "label": 1}
    encoded = encode([row], task, tokenizer, "encoder", 64)
    assert encoded.prompts == [tokenizer("a cat", "the dog a king")["input_ids"]]


def scored(*scores: float) -> list[dict[str, Any]]:
    pair = {"sentence1": "a cat", "sentence2": "a dog"}
    return [{"id": str(i), **pair, "label": score} for i, score in enumerate(scores)]


@pytest.mark.parametrize("name", ["tiny_causal", "tiny_encoder", "shared_model"])
def test_the_core_gives_the_tokens_of_its_wrapper(
    name: str, request: pytest.FixtureRequest
) -> None:
    from transformers import AutoTokenizer

    from bench.network.encoding import token_ids

    tokenizer = AutoTokenizer.from_pretrained(request.getfixturevalue(name))
    texts = [
        "the cat saw a dog",
        "",
        " the  cat\n",
        "é naïve – ‘quoted’",
        "a [SEP] b </s>",
        "x" * 600,
    ]
    expected = tokenizer(texts)["input_ids"]
    tokenizer(texts, truncation=True, max_length=4, padding="max_length")  # leaves its settings
    assert token_ids(tokenizer, texts) == expected
