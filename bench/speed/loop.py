"""The training loop beside a bare PyTorch loop and `transformers.Trainer`."""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain, count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.speed.cells import BATCH, examples_of, one_cell, padded
from bench.speed.options import add_cell_options, add_clock_option, positive
from bench.speed.timing import alternate, compared, timed

if TYPE_CHECKING:
    from torch import Tensor

    from bench.training.context import TrainingContext

_Prepare = Callable[["TrainingContext"], Callable[[], object]]
"""From a run at its untouched base model to the call that is measured."""

_NOTE = """
{model}, {examples} examples of {task} from the same weights in each of {rounds} rounds, {steps}
steps on {threads} thread(s); {clock} time of the training call alone: no loading, no tokenising.
Medians; low and high are the extremes of ours / it, taken within each round.
  ours               bench.training.loop.train: finetune, on accelerate, bucketed batches
  ours, random       the same with --batching random
  ours, compiled     (--compiled) the same with train.compile=true{warm_up}
  bare               plain PyTorch: the same batches in the same order, the network's own loss on
                     the answer tokens, an attention mask, fused AdamW, same clipping and schedule
  bare, our forward  the same with our forward pass: what is left is the cost of the loop itself
  bare, accelerate   bare with its network, optimizer, backward and clipping on accelerate
  accelerate         the same with random batches from a DataLoader: run_glue_no_trainer.py's loop
  Trainer            transformers.Trainer: random batches, its defaults, the same recipe
  Trainer, grouped   the same with its sampler that groups rows by length
Goals: 0.97 of bare with our forward, 1.3 of Trainer grouped. After a round, weights of ours and
bare differ by at most {gap:.0e}, having moved by up to {moved:.0e}."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The arguments of `measure`."""
    add_cell_options(parser)
    add_clock_option(parser)
    parser.add_argument("--steps", type=positive, default=80, metavar="N", help="per round (80)")
    about = "also ours with train.compile=true"
    parser.add_argument("--compiled", action="store_true", help=about)


def measure(given: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Measure the training loop and print the table; returns the ratios by name."""
    import torch

    from bench.running.session import CellSession
    from bench.training.loop import train
    from bench.training.stack import build

    torch.set_num_threads(given.threads)
    ends: dict[str, dict[str, Tensor]] = {}  # the weights that each ends with
    contenders: dict[str, tuple[_Prepare, str]] = {
        "ours": (lambda run: lambda: train(run, build(run.cell.method), None), "bucketed"),
        "ours, random": (lambda run: lambda: train(run, build(run.cell.method), None), "random"),
        "bare": (_bare, "bucketed"),
        "bare, our forward": (partial(_bare, own_forward=True), "bucketed"),
        "bare, accelerate": (partial(_bare, accelerated=True), "bucketed"),
        "accelerate": (_accelerate, "random"),
        "Trainer": (_trainer, "random"),
        "Trainer, grouped": (partial(_trainer, sampling="group_by_length"), "random"),
    }
    warm_ups: list[float] = []  # seconds, of each round
    if given.compiled:
        contenders["ours, compiled"] = (partial(_compiled, warm_ups), "bucketed")
    with tempfile.TemporaryDirectory() as folder:
        size = {"steps": given.steps, "max_train": given.steps * BATCH, "max_eval": 1}
        cell, workspace = one_cell(given, Path(folder), **size)

        def seconds(name: str) -> float:
            prepare, batching = contenders[name]
            recipe = replace(cell.training, batching=batching)
            run = CellSession(replace(cell, training=recipe), workspace).run
            work = prepare(run)
            took = timed(work, given.clock)
            ends[name] = {name: p.detach().cpu() for name, p in run.net.named_parameters()}
            return took

        times = alternate({name: partial(seconds, name) for name in contenders}, given.rounds)
        return _table(given, CellSession(cell, workspace).run, times, ends, sum(warm_ups))


def _table(
    given: argparse.Namespace,
    run: TrainingContext,
    times: dict[str, list[float]],
    ends: dict[str, Any],
    warm_up: float,
) -> dict[str, dict[str, float]]:
    """Print what was found; `run` is one at the untouched base, `warm_up` seconds of compiling."""
    from tabulate import tabulate

    cell, ours, bare = run.cell, ends["ours"], ends["bare"]
    examples = sum(map(len, _order(run)))
    found = {}
    for name, seconds in times.items():
        rate = examples / statistics.median(seconds)
        found[name] = {"examples_per_second": rate, **compared(times["ours"], seconds)}
    rows = [[name, *values.values()] for name, values in found.items()]
    heads = ["loop", "examples/s", "ours / it", "low", "high"]
    print(tabulate(rows, heads, floatfmt=("", ".0f", ".2f", ".2f", ".2f")))
    gap = max(float((ours[name] - bare[name]).abs().max()) for name in ours)
    moved = max(float((ours[name] - v.cpu()).abs().max()) for name, v in run.loaded.base.items())
    values = {**vars(given), "model": cell.model.name, "examples": examples}
    compiled = f": {warm_up:.0f} s of warm-up before" if warm_up else ""
    print(_NOTE.format(**values, warm_up=compiled, gap=gap, moved=moved))
    return {f"loop: ours / {name}": values for name, values in found.items() if name != "ours"}


def _order(run: TrainingContext) -> Iterator[list[int]]:
    """The examples of each step."""
    from bench.network.batches import step_batches

    cell = run.cell
    return step_batches(run.train_rows, cell.training, cell.task.name, cell.seed, 0, cell.steps)


def _compiled(warm_ups: list[float], run: TrainingContext) -> Callable[[], object]:
    """Our loop with `train.compile`; notes what compiling took."""
    from bench.training.loop import train
    from bench.training.stack import build

    run.cell = replace(run.cell, training=replace(run.cell.training, compile=True))
    return lambda: warm_ups.append(train(run, build(run.cell.method), None)["compile"])


def _bare(
    run: TrainingContext, own_forward: bool = False, accelerated: bool = False
) -> Callable[[], object]:
    """A loop of plain PyTorch, or of accelerate, over the same batches in the same order."""
    import torch
    from torch.nn.utils import clip_grad_norm_

    from bench.network.batches import micro_batches
    from bench.training.schedule import rate_factor

    recipe, pad, accelerator = run.cell.training, run.tokenizer.pad_token_id, run.accelerator
    rows, examples = run.train_rows, examples_of(run.train_rows)

    def loss_of(net: Any, indices: list[int]) -> Tensor:
        if own_forward:
            (batch,) = micro_batches(rows, indices, None, pad, 0, 1)
            return run.task_loss(batch.to(run.device))
        plain = padded([examples[i] for i in indices], pad)
        inputs = {name: value.to(run.device) for name, value in plain.items()}
        loss: Tensor = net(**inputs, **run.task_model.options).loss  # no key-value cache
        return loss

    def work() -> None:
        net, optimizer = run.net, run.adamw()
        if accelerated:
            net, optimizer = accelerator.prepare(net, optimizer)
        clip = accelerator.clip_grad_norm_ if accelerated else clip_grad_norm_
        for step, indices in enumerate(_order(run)):
            for group in optimizer.param_groups:
                group["lr"] = recipe.lr * rate_factor(recipe, step, run.steps)
            loss = loss_of(net, indices)
            if accelerated:
                accelerator.backward(loss)
            else:
                torch.autograd.backward(loss)
            clip(net.parameters(), recipe.clip)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    return work


def _accelerate(run: TrainingContext) -> Callable[[], object]:
    """The loop of transformers' example scripts without Trainer."""
    from torch.optim.lr_scheduler import LambdaLR
    from torch.utils.data import DataLoader

    from bench.training.schedule import rate_factor

    recipe, accelerator = run.cell.training, run.accelerator
    collate: Any = partial(padded, pad=run.tokenizer.pad_token_id)
    examples: Any = examples_of(run.train_rows)
    batches = DataLoader(examples, recipe.batch_size, shuffle=True, collate_fn=collate)

    def work() -> None:
        optimizer = run.adamw()
        scheduler = LambdaLR(optimizer, partial(rate_factor, recipe, steps=run.steps))
        prepared = accelerator.prepare(run.net, optimizer, batches, scheduler)
        net, optimizer, loader, scheduler = prepared
        epochs = chain.from_iterable(loader for _ in count())
        for batch in islice(epochs, run.steps):
            accelerator.backward(net(**batch, **run.task_model.options).loss)
            accelerator.clip_grad_norm_(net.parameters(), recipe.clip)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()

    return work


def _trainer(run: TrainingContext, sampling: str = "random") -> Callable[[], object]:
    """`transformers.Trainer` with batches of its own."""
    from transformers import PrinterCallback, Trainer, TrainingArguments

    recipe, pad = run.cell.training, run.tokenizer.pad_token_id
    arguments = TrainingArguments(
        output_dir=str(run.cache.folder),
        per_device_train_batch_size=recipe.batch_size,
        max_steps=run.steps,
        learning_rate=recipe.lr,
        lr_scheduler_type=recipe.schedule,
        warmup_steps=round(recipe.warmup * run.steps),
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.clip,
        train_sampling_strategy=sampling,
        dataloader_pin_memory=run.device.type == "cuda",  # else it warns
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    trainer = Trainer(
        model=run.net,
        args=arguments,
        train_dataset=examples_of(run.train_rows),
        data_collator=partial(padded, pad=pad),
    )
    trainer.remove_callback(PrinterCallback)
    work: Callable[[], object] = trainer.train
    return work
