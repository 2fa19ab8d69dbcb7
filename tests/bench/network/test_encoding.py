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


@pytest.fixture(scope="module")
def letters() -> Any:
    """A tokenizer with a token for every character, blanks too."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    known = [chr(i) for i in range(10, 127)] + [chr(0x4E00 + i) for i in range(600)]
    words = {word: i for i, word in enumerate(["[UNK]", "[END]", *known])}
    core = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="[END]", pad_token="[END]")


def review(text: str, label: int = 1) -> dict[str, Any]:
    return {"id": text[:8], "sentence": text, "label": label}


CHINESE = ["".join(chr(0x4E00 + (i * step) % 600) for i in range(600)) for step in (1, 7)]


@pytest.mark.parametrize(
    "text",
    [
        CHINESE[0],
        "x" * 2000,
        "https://a.b/" + "c/d" * 300,
        "def f():\n\treturn" * 60,
        "标题 " + CHINESE[1],
        "a film " + "z" * 800 + " and so on",
        CHINESE[0] + " " + CHINESE[1],
    ],
)
def test_a_text_without_blanks_is_cut_where_the_room_ends(text: str, letters: Any) -> None:
    task, limit = TASKS.get("sst2"), 256
    encoded = encode([review(text)], task, letters, "causal", limit)
    (prompt,), (answers,) = encoded.prompts, encoded.answers
    room = limit - max(map(len, answers))
    around = len(letters(task.prompt.format(sentence=""))["input_ids"])
    kept = text[: room - around]  # a token is a character
    assert prompt == letters(task.prompt.format(sentence=kept))["input_ids"]
    assert (len(prompt), encoded.truncated, encoded.alike) == (room, 1, 0)


def test_two_long_texts_keep_as_much_of_each(letters: Any) -> None:
    task = TASKS.get("mrpc")
    row = {"id": "1", "sentence1": CHINESE[0], "sentence2": CHINESE[1], "label": 1}
    for limit in (200, 201):
        encoded = encode([row, {**row, "sentence2": "short"}], task, letters, "causal", limit)
        first, second = ("".join(letters.convert_ids_to_tokens(p)) for p in encoded.prompts)
        kept = [next(n for n in range(600) if text[: n + 1] not in first) for text in CHINESE]
        assert kept[0] == kept[1] > 30
        assert "short" in second
        room = limit - max(map(len, encoded.answers[0]))
        assert all(room - 1 <= len(prompt) <= room for prompt in encoded.prompts)


def test_texts_with_blanks_lose_whole_words(letters: Any) -> None:
    task = TASKS.get("sst2")
    text = "a fine film about nothing much " * 20
    ((prompt,), (answers,)) = (lambda e: (e.prompts, e.answers))(
        encode([review(text)], task, letters, "causal", 256)
    )
    shown = "".join(letters.convert_ids_to_tokens(prompt))
    kept = shown.removeprefix("Review: ").partition("\n")[0]
    assert text.startswith(f"{kept} ")
    assert 256 - max(map(len, answers)) - 16 < len(prompt)


def test_an_answer_that_is_too_long_takes_nothing_of_a_prompt_that_fits(letters: Any) -> None:
    task = TASKS.get("psychol")
    row = {"id": "1", "question": "why" * 10, "label": 0, **dict.fromkeys("abcd", "y" * 300)}
    encoded = encode([row], task, letters, "causal", 256)
    assert encoded.prompts == [letters(task.prompt.format(**row))["input_ids"]]
    assert [len(answer) for answer in encoded.answers[0]] == [128] * 4


@pytest.mark.parametrize("kind", ["causal", "encoder"])
def test_rows_that_are_alike_when_shortened_are_counted(kind: Any, letters: Any) -> None:
    task = TASKS.get("sst2")
    rows = [review(CHINESE[0]), review(CHINESE[0] + "x", 0), review(CHINESE[1]), review("good")]
    rows.append(dict(rows[2]))  # the very same text is no accident
    assert encode(rows, task, letters, kind, 128).alike == 2
    assert encode(rows, task, letters, kind, 1024).alike == 0
