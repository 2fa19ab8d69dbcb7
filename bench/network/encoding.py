"""Rows -> tokens: prompts, and the answers that a causal LM may give."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, islice
from typing import Any

from bench.cells.cell import ModelKind
from bench.core.errors import BenchError
from bench.network.batches import Encoded
from bench.network.generation import start_tokens
from bench.rows.task import Row, Task

_WORD = 16  # tokens: more than an ordinary word has


class LongPromptError(BenchError):
    """A prompt has no room for anything of its row."""


def encode(rows: Sequence[Row], task: Task, tokenizer: Any, kind: ModelKind, limit: int) -> Encoded:
    """Tokenise rows for a causal LM (prompt and answers) or an encoder (text or pair; in multiple
    choice a pair for each choice, of all other columns and the choice)."""
    if not rows:
        raise BenchError(f"task {task.name}: no rows.")
    encoder = _encode_causal if kind == "causal" else _encode_encoder
    return encoder(rows, task, tokenizer, limit)


def _encode_encoder(rows: Sequence[Row], task: Task, tokenizer: Any, limit: int) -> Encoded:
    choices = 1
    texts = [[str(row[column]) for row in rows] for column in task.columns]
    if task.kind == "multiple_choice":
        choices = len(task.labels)
        asked = [" ".join(row) for row in zip(*texts, strict=True) for _ in range(choices)]
        texts = [asked, [answer for row in rows for answer in task.answers(row)]]
    elif len(texts) > 2:  # a pair is all that an encoder reads
        texts = [texts[0], [" ".join(row) for row in zip(*texts[1:], strict=True)]]
    full = tokenizer(*texts)["input_ids"]
    cut = tokenizer(
        *texts, truncation="longest_first", max_length=limit, return_token_type_ids=True
    )
    places = [range(i, i + choices) for i in range(0, len(full), choices)]
    shortened = [i for i, at in enumerate(places) if any(len(full[k]) > limit for k in at)]
    return Encoded(
        ids=[row["id"] for row in rows],
        gold=[task.gold(row) for row in rows],
        prompts=cut["input_ids"],
        answers=[],
        types=_types(cut),
        truncated=len(shortened),
        references=_references(rows, task, []),
        choices=choices,
        alike=_alike(
            [[text[k] for text in texts for k in places[i]] for i in shortened],
            [[cut["input_ids"][k] for k in places[i]] for i in shortened],
        ),
    )


def _types(tokens: Any) -> list[list[int]]:
    """Token types, 0 for the first text and 1 for the second, also where the tokenizer itself does
    not tell them apart; `TaskModel` gives them to networks that do."""
    types: list[list[int]] = tokens["token_type_ids"]
    if not tokens.is_fast or any(1 in row for row in types):
        return types
    origins = [tokens.sequence_ids(i) for i in range(len(types))]
    return [list(accumulate((origin or 0 for origin in row), max)) for row in origins]


def _encode_causal(rows: Sequence[Row], task: Task, tokenizer: Any, limit: int) -> Encoded:
    rows = [{**row, **{c: str(row[c]) for c in task.columns}} for row in rows]
    shortened = []
    encoded = [_split(row, task, tokenizer) for row in _chunks(rows)]
    prompts = [prompt for part in encoded for prompt in part[0]]
    answers = [answer for part in encoded for answer in part[1]]
    if task.kind in ("classification", "regression"):
        _tell_apart(task, answers[0])
    for i, row in enumerate(rows):
        longest = limit - len(prompts[i]) if task.kind == "text" else limit // 2
        room = limit - min(longest, max(task.max_new_tokens, *map(len, answers[i])))
        if len(prompts[i]) > room or max(map(len, answers[i])) > longest:
            shortened.append(i)
            prompts[i], answers[i] = _shortened(row, task, tokenizer, room)
            answers[i] = [answer[:longest] for answer in answers[i]]
    return Encoded(
        ids=[row["id"] for row in rows],
        gold=[task.gold(row) for row in rows],
        prompts=prompts,
        answers=answers,
        types=[],
        truncated=len(shortened),
        sizes=[[len(answer.encode()) for answer in task.answers(row)] for row in rows],
        references=_references(rows, task, answers),
        alike=_alike(
            [[rows[i][column] for column in task.columns] for i in shortened],
            [[prompts[i]] for i in shortened],
        ),
    )


def _alike(texts: list[list[str]], prompts: list[list[list[int]]]) -> int:
    """How many of these shortened rows have the prompts of one whose texts are others."""
    texts_of: dict[str, set[str]] = {}
    for prompt, text in zip(map(repr, prompts), map(repr, texts), strict=True):
        texts_of.setdefault(prompt, set()).add(text)
    return sum(len(texts_of[repr(prompt)]) > 1 for prompt in prompts)


def _references(rows: Sequence[Row], task: Task, answers: list[list[list[int]]]) -> list[Any]:
    """What predictions are compared with; of a text, how many tokens its loss is a sum over."""
    if task.kind == "text":
        return [len(answer) for (answer,) in answers]
    references = [task.reference(row) for row in rows]
    if "" in references:
        name = rows[references.index("")]["id"]
        raise BenchError(f"task {task.name}, row {name}: its answer holds nothing to compare.")
    return references


def _chunks(rows: Sequence[Row], size: int = 1024) -> Iterator[Sequence[Row]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _split(
    rows: Sequence[Row], task: Task, tokenizer: Any
) -> tuple[list[list[int]], list[list[list[int]]]]:
    """Prompt tokens and the tokens of each possible answer, of each row.

    Tokenisers may merge across the border of prompt and answer, so the whole text is tokenised
    and cut where it first differs from the prompt alone, at one place for all answers of a row.
    A written answer ends with the end token.
    """
    texts = [task.prompt.format(**row) for row in rows]
    alone = token_ids(tokenizer, texts)
    pairs = [
        f"{text} {answer}" if text else answer
        for text, row in zip(texts, rows, strict=True)
        for answer in task.answers(row)
    ]
    wholes = iter(token_ids(tokenizer, pairs))
    end = _closing_tokens(tokenizer)
    written = task.kind == "generation" and tokenizer.eos_token_id is not None
    stop = [tokenizer.eos_token_id] if written else []
    prompts, answers = [], []
    for prompt, row in zip(alone, rows, strict=True):
        full = [whole[: len(whole) - end] for whole in islice(wholes, len(task.answers(row)))]
        cut = min(_common_prefix(prompt, tokens) for tokens in full)
        prompts.append(prompt[:cut] or start_tokens(tokenizer))
        answers.append([tokens[cut:] + stop for tokens in full])
        if not all(answers[-1]):
            raise BenchError(f"task {task.name}, row {row['id']}: an answer is empty.")
    return prompts, answers


def token_ids(tokenizer: Any, texts: list[str]) -> list[list[int]]:
    """The tokens of each text. Of a fast tokenizer the core is called directly: the wrapper round
    it takes as long again for what is not needed here (masks, offsets)."""
    if not tokenizer.is_fast:
        return list(tokenizer(texts, verbose=False)["input_ids"])
    core = tokenizer.backend_tokenizer
    core.no_truncation()  # an earlier call may have left its own
    core.no_padding()
    return [found.ids for found in core.encode_batch_fast(texts)]


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
    if first[:length] == second[:length]:
        return length
    return next((i for i in range(length) if first[i] != second[i]), length)


def _shortened(
    row: Row, task: Task, tokenizer: Any, room: int
) -> tuple[list[int], list[list[int]]]:
    """The row's prompt in at most `room` tokens: the longest column loses its last words. A text
    that this would empty, or cut by more than an ordinary word, has few blanks or none (Chinese,
    code, a link): there all columns are cut at one number of characters, the most that fit.

    Raises:
        LongPromptError: the prompt is too long even with every column empty.
    """
    words = _without_last_words(row, task, tokenizer, room)
    ((prompt,), (answers,)) = _split([words], task, tokenizer)
    emptied = any(row[column] and not words[column] for column in task.columns)
    if words == row or (not emptied and room - len(prompt) < _WORD):
        return prompt, answers
    fitting, longest = 0, max(len(row[column]) for column in task.columns)
    while fitting < longest - 1:
        middle = (fitting + longest) // 2
        cut = {**row, **{column: row[column][:middle] for column in task.columns}}
        ((found,), (their_answers,)) = _split([cut], task, tokenizer)
        if len(found) <= room:
            fitting, prompt, answers = middle, found, their_answers
        else:
            longest = middle
    return prompt, answers


def _without_last_words(row: Row, task: Task, tokenizer: Any, room: int) -> Row:
    """The row with so much of its columns, in whole words, that the prompt has `room` tokens."""
    row = dict(row)
    while True:
        ((prompt,), _) = _split([row], task, tokenizer)
        over = len(prompt) - room
        if over <= 0:
            return row
        column = max(task.columns, key=lambda name: len(row[name]), default=None)
        if column is None or not row[column]:
            raise LongPromptError(
                f"task {task.name}: the prompt around a row has {len(prompt)} tokens, and "
                f"{room} is the most beside an answer (train.max_length, or the model's context)."
            )
        words = row[column].split(" ")
        # a word has at least one token, so dropping over/8 words at a time cannot overshoot by far
        row[column] = " ".join(words[: -max(1, over // 8)])
