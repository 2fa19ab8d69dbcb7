"""The scores of all answers beside one forward pass over the same tokens, and beside
lm-evaluation-harness where that is installed."""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.scoring.lm_eval import PACKAGE
from bench.speed.cells import examples_of, one_cell, padded
from bench.speed.options import add_cell_options, add_clock_option, positive
from bench.speed.timing import alternate, compared, timed

if TYPE_CHECKING:
    from bench.network.batches import Encoded

_HARNESS = "lm-eval, batches of {}"
_BATCHES = (16, 64)  # of the harness, to which it leaves the choice
_NOTE = """
{model}, {rows} dev rows of {task} on {threads} thread(s), {rounds} rounds; {clock} time. Every row
is scored with each of its {words} answers; one forward pass is the network's own, over the same
prompts with the right answer. lm-eval is lm-evaluation-harness, if that is installed, with its own
batches of the same tokens. Goals for two label words: 0.83 of one pass (that is 1.2 of its time);
of lm-eval 1.3 on CoLA, 2 on RTE."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The arguments of `measure`."""
    add_cell_options(parser)
    add_clock_option(parser)
    parser.add_argument("--rows", type=positive, metavar="N", help="dev rows (all)")


def measure(given: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Measure the scoring of the dev rows and print the table; returns the ratio."""
    import torch
    from accelerate import Accelerator
    from tabulate import tabulate

    from bench.network.limits import cached_bytes, vocabulary
    from bench.running.session import CellSession
    from bench.scoring.evaluation import length_batches, score_rows

    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as folder:
        stage = CellSession(
            *one_cell(given, Path(folder), steps=0, max_train=1, max_eval=given.rows)
        )
    run, rows = stage.run, stage.dev["dev"]
    net, pad, examples = run.net.eval(), run.tokenizer.pad_token_id, examples_of(rows)

    @torch.inference_mode()
    def plain() -> None:
        for indices in length_batches(rows, vocabulary(net.config), cached_bytes(net.config)):
            batch = padded([examples[i] for i in indices], pad)
            del batch["labels"]
            net(**batch, **run.task_model.options)

    ours = partial(score_rows, run.task_model, rows, pad, Accelerator())
    works: dict[str, Callable[[], object]] = {"ours": ours, "one forward pass": plain}
    if find_spec(PACKAGE) and rows.answers:
        works |= {_HARNESS.format(b): _harness(net, run.tokenizer, rows, b) for b in _BATCHES}
    contenders = {name: partial(timed, work, given.clock) for name, work in works.items()}
    times = alternate(contenders, given.rounds)
    found = {name: compared(times["ours"], seconds) for name, seconds in times.items()}
    medians = {name: statistics.median(seconds) for name, seconds in times.items()}
    table = [[name, len(rows) / medians[name], *found[name].values()] for name in works]
    heads = ["scoring", "rows/s", "ours / it", "low", "high"]
    print(tabulate(table, heads, floatfmt=("", ".0f", *[".2f"] * 3)))
    words = len(stage.task.labels)
    print(_NOTE.format(**{**vars(given), "rows": len(rows), "words": words}))
    return {f"scoring: ours / {name}": ratio for name, ratio in found.items() if name != "ours"}


def _harness(net: Any, tokenizer: Any, rows: Encoded, size: int) -> Callable[[], object]:
    """The harness's scores of the same tokens: its public call would tokenise them first."""
    from lm_eval.models.huggingface import HFLM

    model = HFLM(pretrained=net, tokenizer=tokenizer, batch_size=size)
    asked = [
        (("", ""), prompt, answer)
        for prompt, answers in zip(rows.prompts, rows.answers, strict=True)
        for answer in answers
    ]
    return partial(model._loglikelihood_tokens, asked, disable_tqdm=True)
