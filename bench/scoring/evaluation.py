"""What a model can do: scores on a task, loss on texts, distance from where it started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import torch

from bench.network.batches import Encoded
from bench.network.generation import greedy
from bench.network.likelihood import TaskModel, answer_scores, settled_on
from bench.network.limits import cached_bytes, context_length, vocabulary
from bench.network.loading import Loaded
from bench.rows.task import Task
from bench.scoring.predictions import Outputs

if TYPE_CHECKING:
    from accelerate import Accelerator

T = TypeVar("T")
_BATCH_ROWS = 128
_BATCH_TOKENS = 16384
_BATCH_LOGITS = 1 << 27  # of the vocabulary, where answers are predicted: half a gigabyte
_BATCH_CACHE = 1 << 29  # bytes of keys and values: an answer of several tokens has its own


def outputs(
    model: TaskModel, task: Task, rows: Encoded, tokenizer: Any, accelerator: Accelerator
) -> Outputs:
    """What the model says to all rows, in row order.

    The rows are shared out over accelerate's processes, each scored exactly once.
    """
    scores = score_rows(model, rows, tokenizer.pad_token_id, accelerator)
    if task.kind != "generation":
        return Outputs(scores)
    return Outputs(scores, write_rows(model, rows, tokenizer, task.max_new_tokens, accelerator))


def write_rows(
    model: TaskModel, rows: Encoded, tokenizer: Any, max_new_tokens: int, accelerator: Accelerator
) -> list[str]:
    """The model's likeliest continuation of every prompt, token by token, as text."""
    mine = list(range(len(rows)))[accelerator.process_index :: accelerator.num_processes]
    prompts = [rows.prompts[i] for i in mine]
    room = context_length(model.net) - max(map(len, prompts), default=0)
    with model.arithmetic(training=False):
        answers = greedy(model.net, tokenizer, prompts, max_new_tokens=min(max_new_tokens, room))
    texts = tokenizer.batch_decode(answers, skip_special_tokens=True) if answers else []
    return _gathered(list(zip(mine, texts, strict=True)), len(rows), accelerator)


@torch.inference_mode()
def score_rows(
    model: TaskModel, rows: Encoded, pad: int, accelerator: Accelerator
) -> list[list[float]]:
    """Score of every answer for every row, in row order; see `likelihood.answer_scores`."""
    training = model.training
    model.eval()
    config = model.net.config
    batches = length_batches(rows, vocabulary(config), cached_bytes(config))
    mine = batches[accelerator.process_index :: accelerator.num_processes]
    found: list[tuple[int, list[float]]] = []
    with settled_on(model, rows, pad, accelerator.device):
        for indices in mine:
            scores = answer_scores(model, rows, indices, pad, accelerator.device).tolist()
            found += zip(indices, scores, strict=True)
    model.train(training)
    return _gathered(found, len(rows), accelerator)


def _gathered(mine: list[tuple[int, T]], rows: int, accelerator: Accelerator) -> list[T]:
    """Every process's (row, value) pairs as one list in row order."""
    from accelerate.utils import gather_object

    found = gather_object(mine) if accelerator.num_processes > 1 else mine
    by_index = dict(found)
    assert len(found) == len(by_index) == rows, "every row is scored exactly once"
    return [by_index[i] for i in range(rows)]


def length_batches(rows: Encoded, vocabulary: int, cached: int = 0) -> list[list[int]]:
    """All rows, longest first, in batches bounded by rows, padded tokens, logits and keys and
    values, which have `cached` bytes a token."""
    order = sorted(range(len(rows)), key=lambda i: -rows.prompt_length(i))
    choices = max(map(len, rows.answers), default=0)
    batches: list[list[int]] = []
    prompt = answers = 0  # tokens of the longest prompt and the longest answers in the last batch
    for i in order:
        prompt, answers = max(prompt, rows.prompt_length(i)), max(answers, _answer_tokens(rows, i))
        copies = choices if answers > choices else 1  # a single token needs none of its own
        room = min(
            _BATCH_ROWS,
            _BATCH_TOKENS // (prompt + answers),
            _BATCH_LOGITS // max(1, answers * vocabulary),
            _BATCH_CACHE // max(1, cached * (copies * prompt + answers)),
        )
        if not batches or len(batches[-1]) >= room:
            batches.append([])
            prompt, answers = rows.prompt_length(i), _answer_tokens(rows, i)
        batches[-1].append(i)
    return batches


def _answer_tokens(rows: Encoded, i: int) -> int:
    """Tokens of all answers to a row, padded to one length."""
    answers = rows.answers[i] if rows.answers else []
    return len(answers) * max(map(len, answers), default=0)


@torch.no_grad()
def drift(loaded: Loaded) -> float:
    """Squared distance of the pretrained parameters from their base values, ‖θ−θ0‖²."""
    total = 0.0
    for name, parameter in loaded.pretrained():
        moved = parameter.detach().float() - loaded.base[name].to(parameter.device).float()
        total += float(moved.double().square_().sum())
    return total


def backbone_into(net: Any, loaded: Loaded) -> None:
    """Copy the tuned pretrained parameters into another network with the same names."""
    target = dict(net.named_parameters())
    with torch.no_grad():
        for name, parameter in loaded.pretrained():
            if name in target:
                target[name].copy_(parameter)
