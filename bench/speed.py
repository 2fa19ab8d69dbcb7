"""How fast this code is beside the usual ways to do the same, measured on this machine."""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError

if TYPE_CHECKING:
    from torch import Tensor

    from bench.data import Encoded
    from bench.run import Run
    from bench.runner import Workspace
    from bench.spec import Cell

_BATCH = 16
_Prepare = Callable[["Run"], Callable[[], object]]
"""From a run at its untouched base model to the call that is measured."""

_LOOP_NOTE = """
{model}, {examples} examples of {task} from the same weights in each of {rounds} rounds, {steps}
steps on {threads} thread(s); {clock} time of the training call alone: no loading, no tokenising.
Medians; low and high are the extremes of ours / it, taken within each round.
  ours               bench.training.train: finetune, on accelerate, bucketed batches
  ours, random       the same with --batching random
  bare               plain PyTorch: the same batches in the same order, the network's own loss on
                     the answer tokens, an attention mask, fused AdamW, same clipping and schedule
  bare, our forward  the same with our forward pass: what is left is the cost of the loop itself
  Trainer            transformers.Trainer: random batches, its defaults, the same recipe
Goals: 0.9 of bare, 1.35 of Trainer. After a round, weights of ours and bare differ by at most
{gap:.0e}, having moved by up to {moved:.0e}."""


_SCORING_NOTE = """
{model}, {rows} dev rows of {task} on {threads} thread(s), {rounds} rounds; {clock} time. Every row
is scored with each of its {words} answers; one forward pass is the network's own, over the same
prompts with the right answer. Goal for two label words: 1.2."""


def alternate(contenders: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """What each contender returns (seconds) in each round, after one round that does not count;
    another one goes first in every round."""
    names = list(contenders)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds + 1):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            took = contenders[name]()
            if number:
                seconds[name].append(took)
        print(f"round {number} of {rounds}", file=sys.stderr)
    return seconds


def compared(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """Our speed over theirs from seconds, paired by round: `ratio` (median), `low` and `high`."""
    found = [their / our for our, their in zip(ours, theirs, strict=True)]
    return {"ratio": statistics.median(found), "low": min(found), "high": max(found)}


def _loop(given: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Measure the training loop and print the table; returns the ratios by name."""
    import torch

    from bench.runner import Stage
    from bench.training import train

    torch.set_num_threads(given.threads)
    now = time.process_time if given.clock == "cpu" else time.perf_counter
    ends: dict[str, dict[str, Tensor]] = {}  # the weights that each ends with
    contenders: dict[str, tuple[_Prepare, str]] = {
        "ours": (lambda run: lambda: train(run, run.cell.method, None), "bucketed"),
        "ours, random": (lambda run: lambda: train(run, run.cell.method, None), "random"),
        "bare": (partial(_bare, own_forward=False), "bucketed"),
        "bare, our forward": (partial(_bare, own_forward=True), "bucketed"),
        "Trainer": (_trainer, "random"),
    }
    with tempfile.TemporaryDirectory() as folder:
        size = {"steps": given.steps, "max_train": given.steps * _BATCH, "max_eval": 1}
        cell, workspace = _cell(given, Path(folder), **size)

        def seconds(name: str) -> float:
            prepare, batching = contenders[name]
            recipe = replace(cell.training, batching=batching)
            run = Stage(replace(cell, training=recipe), workspace).run
            work = prepare(run)
            gc.collect()
            start = now()
            work()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            took = now() - start
            ends[name] = {name: p.detach().cpu() for name, p in run.net.named_parameters()}
            return took

        times = alternate({name: partial(seconds, name) for name in contenders}, given.rounds)
        return _loop_table(given, Stage(cell, workspace).run, times, ends)


def _loop_table(
    given: argparse.Namespace, run: Run, times: dict[str, list[float]], ends: dict[str, Any]
) -> dict[str, dict[str, float]]:
    """Print what was found; `run` is one at the untouched base."""
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
    print(_LOOP_NOTE.format(**values, gap=gap, moved=moved))
    return {f"loop: ours / {name}": values for name, values in found.items() if name != "ours"}


def _scoring(given: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Measure the scoring of the dev rows and print the table; returns the ratio."""
    import torch
    from accelerate import Accelerator
    from tabulate import tabulate

    from bench.evaluation import length_batches, score_rows
    from bench.runner import Stage

    torch.set_num_threads(given.threads)
    now = time.process_time if given.clock == "cpu" else time.perf_counter
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(*_cell(given, Path(folder), steps=0, max_train=1, max_eval=given.rows))
    run, rows = stage.run, stage.dev["dev"]
    net, pad, examples = run.net.eval(), run.tokenizer.pad_token_id, _examples(rows)

    @torch.inference_mode()
    def plain() -> None:
        for indices in length_batches(rows, net.config.vocab_size):
            batch = _padded([examples[i] for i in indices], pad)
            del batch["labels"]
            net(**batch, **run.task_model.options)

    def timed(work: Callable[[], object]) -> float:
        start = now()
        work()
        return now() - start

    ours = partial(score_rows, run.task_model, rows, pad, Accelerator())
    contenders = {"ours": partial(timed, ours), "one forward pass": partial(timed, plain)}
    times = alternate(contenders, given.rounds)
    found = compared(times["one forward pass"], times["ours"])
    heads = ["scoring", "rows/s", "it / one pass", "low", "high"]
    rate = len(rows) / statistics.median(times["ours"])
    print(tabulate([["ours", rate, *found.values()]], heads, floatfmt=("", ".0f", *[".2f"] * 3)))
    words = len(stage.cell.task.labels)
    print(_SCORING_NOTE.format(**{**vars(given), "rows": len(rows), "words": words}))
    return {"scoring: ours / one forward pass": found}


def _cell(given: argparse.Namespace, folder: Path, **train: Any) -> tuple[Cell, Workspace]:
    """The cell that is trained or scored, and the rows and tokens that its runs share."""
    from bench.plan import Options, make_plan
    from bench.registry import load_builtin
    from bench.runner import Workspace
    from bench.spec import Cell

    load_builtin()
    train = {"batch_size": _BATCH, "forget_rows": 1, **train}
    options = Options(["finetune"], [given.task], [given.model], given.data, seeds=1)
    plan = make_plan(replace(options, settings={"train": train}))
    cell = next(plan.spec.cells())
    assert isinstance(cell, Cell), "no sequence was asked for"
    return cell, Workspace(folder, lambda *progress: None, rows=dict(plan.rows))


def _order(run: Run) -> Iterator[list[int]]:
    """The examples of each step."""
    from bench.data import step_batches

    cell = run.cell
    return step_batches(run.train_rows, cell.training, cell.task.name, cell.seed, 0, cell.steps)


def _bare(run: Run, own_forward: bool) -> Callable[[], object]:
    """A loop of plain PyTorch over the same batches in the same order."""
    from torch.nn.utils import clip_grad_norm_

    from bench.data import micro_batches
    from bench.training import rate_factor

    net, recipe, pad = run.net, run.cell.training, run.tokenizer.pad_token_id
    rows, examples = run.train_rows, _examples(run.train_rows)

    def loss_of(indices: list[int]) -> Tensor:
        if own_forward:
            (batch,) = micro_batches(rows, indices, None, pad, 0, 1)
            return run.task_loss(batch.to(run.device))
        plain = _padded([examples[i] for i in indices], pad)
        inputs = {name: value.to(run.device) for name, value in plain.items()}
        loss: Tensor = net(**inputs, **run.task_model.options).loss  # no key-value cache
        return loss

    def work() -> None:
        optimizer = run.adamw()
        for step, indices in enumerate(_order(run)):
            for group in optimizer.param_groups:
                group["lr"] = recipe.lr * rate_factor(recipe, step, run.steps)
            loss = loss_of(indices)
            loss.backward()  # type: ignore[no-untyped-call]
            clip_grad_norm_(net.parameters(), recipe.clip)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    return work


def _trainer(run: Run) -> Callable[[], object]:
    """`transformers.Trainer` with its default batches."""
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
        dataloader_pin_memory=run.device.type == "cuda",  # else it warns
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    trainer = Trainer(
        model=run.net,
        args=arguments,
        train_dataset=_examples(run.train_rows),
        data_collator=partial(_padded, pad=pad),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer.train  # type: ignore[no-any-return]


def _examples(rows: Encoded) -> list[dict[str, Tensor]]:
    """Examples as Hugging Face models take them: labels of -100 where nothing is predicted."""
    import torch

    found = []
    for i, (prompt, gold) in enumerate(zip(rows.prompts, rows.gold, strict=True)):
        answer = rows.answers[i][gold] if rows.answers else []
        values = {"input_ids": prompt + answer, "attention_mask": [1] * len(prompt + answer)}
        if rows.types:
            values["token_type_ids"] = rows.types[i]
        example = {name: torch.tensor(value) for name, value in values.items()}
        labels = torch.tensor([-100] * len(prompt) + answer if answer else gold)
        found.append({**example, "labels": labels})
    return found


def _padded(examples: list[dict[str, Tensor]], pad: int) -> dict[str, Tensor]:
    """A batch of examples, padded to the longest."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    fill = {"input_ids": pad, "labels": -100}
    batch = {}
    for name in examples[0]:
        column = [example[name] for example in examples]
        rows = column[0].ndim > 0
        batch[name] = pad_sequence(column, True, fill.get(name, 0)) if rows else torch.stack(column)
    return batch


def _positive(word: str) -> int:
    if (number := int(word)) < 1:
        raise argparse.ArgumentTypeError(f"{word} is less than 1")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.speed", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--rounds", type=_positive, default=7, metavar="R", help="rounds (7)")
    shared.add_argument("--threads", type=_positive, default=1, metavar="T", help="threads (1)")
    clock = "cpu: processor time, steadier where others use the machine, for 1 thread (wall)"
    shared.add_argument("--clock", choices=("wall", "cpu"), default="wall", help=clock)
    shared.add_argument("--json", type=Path, metavar="FILE", help="write the ratios there, too")
    about = "the training loop beside a bare PyTorch loop and transformers.Trainer"
    loop = commands.add_parser("loop", help=about, description=about, parents=[shared])
    loop.set_defaults(measure=_loop)
    loop.add_argument("--steps", type=_positive, default=80, metavar="N", help="per round (80)")
    about = "the scores of all answers beside one forward pass over the same tokens"
    scoring = commands.add_parser("scoring", help=about, description=about, parents=[shared])
    scoring.set_defaults(measure=_scoring)
    scoring.add_argument("--rows", type=_positive, metavar="N", help="dev rows (all)")
    for command in (loop, scoring):
        command.add_argument("--model", default="micro", metavar="M", help="as for run_bench.py")
        command.add_argument("--data", default="micro", metavar="D", help="as for run_bench.py")
        command.add_argument("--task", default="cola", metavar="T", help="whose rows (cola)")
    return parser


def main(words: Sequence[str] | None = None) -> int:
    """Measure what was asked for; returns the exit code."""
    given = _parser().parse_args(words)
    try:
        found = given.measure(given)
    except BenchError as error:
        print(f"python -m bench.speed: {error}", file=sys.stderr)
        return 2
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
