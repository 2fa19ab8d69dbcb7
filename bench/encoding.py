"""Rows -> tokens: prompts, and the answers that a causal LM may give."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from bench.data import Encoded
from bench.errors import BenchError
from bench.spec import ModelKind
from tasks.base import Row, Task


def subset(rows: Sequence[Row], limit: int | None, task: str) -> list[Row]:
    """`limit` rows, the same for every method and seed; all of them in order if None."""
    if limit is None or limit >= len(rows):
        return list(rows)
    chosen = random.Random(f"{task}:subset").sample(range(len(rows)), limit)
    return [rows[i] for i in sorted(chosen)]


def encode(rows: Sequence[Row], task: Task, tokenizer: Any, kind: ModelKind, limit: int) -> Encoded:
    """Tokenise rows for a causal LM (prompt and answers) or an encoder (text or pair)."""
    if not rows:
        raise BenchError(f"task {task.name}: no rows.")
    encoder = _encode_causal if kind == "causal" else _encode_encoder
    return encoder(rows, task, tokenizer, limit)


def _encode_encoder(rows: Sequence[Row], task: Task, tokenizer: Any, limit: int) -> Encoded:
    texts = [[str(row[column]) for row in rows] for column in task.columns]
    full = tokenizer(*texts)["input_ids"]
    cut = tokenizer(*texts, truncation="longest_first", max_length=limit)
    return Encoded(
        ids=[row["id"] for row in rows],
        gold=[row["label"] for row in rows],
        prompts=cut["input_ids"],
        answers=[],
        types=cut.get("token_type_ids", []),
        truncated=sum(len(ids) > limit for ids in full),
    )


def _encode_causal(rows: Sequence[Row], task: Task, tokenizer: Any, limit: int) -> Encoded:
    rows = [{**row, **{c: str(row[c]) for c in task.columns}} for row in rows]
    truncated = 0
    texts = [task.answers(row) for row in rows]
    encoded = [_split(row, task, tokenizer) for row in _chunks(rows)]
    prompts = [prompt for part in encoded for prompt in part[0]]
    answers = [answer for part in encoded for answer in part[1]]
    if task.kind == "classification":
        _tell_apart(task, answers[0])
    for i, row in enumerate(rows):
        room = limit - max(len(answer) for answer in answers[i])
        if len(prompts[i]) > room:
            truncated += 1
            prompts[i], answers[i] = _shortened(row, task, tokenizer, room)
    return Encoded(
        ids=[row["id"] for row in rows],
        gold=[row["label"] for row in rows],
        prompts=prompts,
        answers=answers,
        types=[],
        truncated=truncated,
        sizes=[[len(text.encode()) for text in answers] for answers in texts],
    )


def _chunks(rows: Sequence[Row], size: int = 1024) -> Iterator[Sequence[Row]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _split(
    rows: Sequence[Row], task: Task, tokenizer: Any
) -> tuple[list[list[int]], list[list[list[int]]]]:
    """Prompt tokens and the tokens of each possible answer, of each row.

    Tokenisers may merge across the border of prompt and answer, so the whole text is tokenised
    and cut where it first differs from the prompt alone, at one place for all answers of a row.
    """
    texts = [task.prompt.format(**row) for row in rows]
    alone = tokenizer(texts, verbose=False)["input_ids"]
    pairs = [f"{t} {a}" for t, row in zip(texts, rows, strict=True) for a in task.answers(row)]
    wholes = iter(tokenizer(pairs, verbose=False)["input_ids"])
    end = _closing_tokens(tokenizer)
    prompts, answers = [], []
    for prompt, row in zip(alone, rows, strict=True):
        full = [whole[: len(whole) - end] for whole in islice(wholes, len(task.labels))]
        cut = min(_common_prefix(prompt, tokens) for tokens in full)
        prompts.append(prompt[:cut])
        answers.append([tokens[cut:] for tokens in full])
        if not all(answers[-1]):
            raise BenchError(f"task {task.name}, row {row['id']}: an answer is empty.")
    return prompts, answers


def _tell_apart(task: Task, answers: list[list[int]]) -> None:
    if len({tuple(answer) for answer in answers}) < len(answers):
        raise BenchError(
            f"task {task.name}: the tokenizer cannot tell the words {', '.join(task.words)} apart."
        )


def _closing_tokens(tokenizer: Any) -> int:
    """How many special tokens the tokenizer puts behind a text."""
    plain = tokenizer("a", add_special_tokens=False)["input_ids"]
    marked = tokenizer("a")["input_ids"]
    start = next((i for i in range(len(marked)) if marked[i : i + len(plain)] == plain), 0)
    return len(marked) - start - len(plain)


def _common_prefix(first: list[int], second: list[int]) -> int:
    length = min(len(first), len(second))
    return next((i for i in range(length) if first[i] != second[i]), length)


def _shortened(
    row: Row, task: Task, tokenizer: Any, room: int
) -> tuple[list[int], list[list[int]]]:
    """The row's prompt in at most `room` tokens: the longest column loses its last words.

    Raises:
        BenchError: the prompt is too long even with every column empty.
    """
    row = dict(row)
    while True:
        ((prompt,), (answers,)) = _split([row], task, tokenizer)
        over = len(prompt) - room
        if over <= 0:
            return prompt, answers
        column = max(task.columns, key=lambda name: len(row[name]))
        words = row[column].split(" ")
        if not row[column]:
            raise BenchError(f"task {task.name}: the prompt alone is longer than {room} tokens.")
        # a word has at least one token, so dropping over/8 words at a time cannot overshoot by far
        row[column] = " ".join(words[: -max(1, over // 8)])
