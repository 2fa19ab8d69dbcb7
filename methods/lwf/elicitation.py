"""What the base model answers to the prompts of the forgetting tasks."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Any

from bench.core.errors import CellError
from bench.network.generation import greedy, sample
from bench.rows.task import task_hash
from bench.scoring.predictions import is_right
from methods.shared.answers import AnswerSet

if TYPE_CHECKING:
    from bench.rows.task import Row, Task
    from bench.training.context import TrainingContext
    from methods.lwf.settings import LWFConfig


def elicit(run: TrainingContext, config: LWFConfig) -> tuple[AnswerSet, list[int]]:
    """D_self: the base model's own answers to prompts of the forgetting task(s), drawn evenly from
    the rows that `run.prompt_rows` gives; and the indices of those that may be unlearned: with
    `keep = "wrong"` their text does not begin with the right answer.

    Raises:
        CellError: none may be unlearned.
    """
    cell = run.cell
    key = [
        cell.base_hash,
        cell.identity()["forget"],
        [task_hash(task) for task in run.forget],
        run.max_length,
        cell.training.validation,  # whose rows are asked nothing
        run.seed("elicit"),
        [config.samples, config.max_new_tokens, config.temperature, config.top_p],
    ]
    found = run.cache.json("self-answers", key, lambda: _elicit(run, config))
    kept = [i for i, wrong in enumerate(found["wrong"]) if wrong or config.keep == "all"]
    if not kept:
        raise CellError(
            f"none of the model's {config.samples} answers is left to unlearn; "
            "try lwf.keep=all, more lwf.samples or another --forget"
        )
    return AnswerSet(found["prompts"], found["answers"]), kept


def _elicit(run: TrainingContext, config: LWFConfig) -> dict[str, list[Any]]:
    prompts: list[list[int]] = []
    asked: list[tuple[Task, Row]] = []
    share = math.ceil(config.samples / len(run.forget))
    for task in run.forget:
        rows, rng = run.prompt_rows(task), random.Random(run.seed(f"elicit {task.name}"))
        count = min(share, len(rows), config.samples - len(prompts))
        if count == 0:  # fewer samples than forgetting tasks
            break
        chosen = rng.sample(rows, count)
        prompts += run.encode_forget(chosen, task.name, config.max_new_tokens).prompts
        asked += [(task, row) for row in chosen]
    answers = _answers(run, config, prompts)
    said = [i for i, answer in enumerate(answers) if answer]
    return {
        "prompts": [prompts[i] for i in said],
        "answers": [answers[i] for i in said],
        "wrong": [not is_right(*asked[i], run.tokenizer.decode(answers[i])) for i in said],
    }


def _answers(run: TrainingContext, config: LWFConfig, prompts: list[list[int]]) -> list[list[int]]:
    """The model's answer to each prompt, as tokens; empty where it says nothing."""

    def report(done: int, of: int) -> None:
        run.progress("elicit answers", done, of, None)

    most = config.max_new_tokens
    if config.temperature == 0:
        return greedy(run.net, run.tokenizer, prompts, max_new_tokens=most, progress=report)
    return sample(
        run.net,
        run.tokenizer,
        prompts,
        seed=run.seed("elicit"),
        max_new_tokens=most,
        temperature=config.temperature,
        top_p=config.top_p,
        progress=report,
    )
