"""The scores of all answers beside one forward pass over the same tokens."""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.speed.cells import examples_of, one_cell, padded
from bench.speed.options import add_cell_options, add_clock_option, positive
from bench.speed.timing import alternate, compared, timed

_NOTE = """
{model}, {rows} dev rows of {task} on {threads} thread(s), {rounds} rounds; {clock} time. Every row
is scored with each of its {words} answers; one forward pass is the network's own, over the same
prompts with the right answer. Goal for two label words: 1.2."""


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
    contenders = {name: partial(timed, work, given.clock) for name, work in works.items()}
    times = alternate(contenders, given.rounds)
    found = compared(times["one forward pass"], times["ours"])
    heads = ["scoring", "rows/s", "it / one pass", "low", "high"]
    rate = len(rows) / statistics.median(times["ours"])
    print(tabulate([["ours", rate, *found.values()]], heads, floatfmt=("", ".0f", *[".2f"] * 3)))
    words = len(stage.task.labels)
    print(_NOTE.format(**{**vars(given), "rows": len(rows), "words": words}))
    return {"scoring: ours / one forward pass": found}
