"""The one training loop, the same for every method; it stops and goes on exactly."""

from __future__ import annotations

import contextlib
import math
import sys
import time
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import torch
from accelerate.utils import broadcast_object_list

from bench.core.errors import (
    BenchError,
    CellError,
    TakenOverError,
    TerminatedError,
    TimeUpError,
    UnfitCheckpointError,
)
from bench.core.hashing import derive_seed
from bench.core.launcher import shards
from bench.network.batches import micro_batches, step_batches
from bench.network.checkpointing import activations_recomputed
from bench.network.compilation import Clock, compile_clock, compiled
from bench.network.precision import tf32
from bench.training import checkpoint
from bench.training.context import Look, TrainingContext
from bench.training.memory import is_out_of_memory
from bench.training.method import Method
from bench.training.schedule import rate_factor
from bench.training.signals import deferred_signals


class Selected(TypedDict):
    """The best look at the weights so far, the first of equal ones."""

    step: int
    score: float  # more is better


class TrainingRecord(TypedDict):
    """What a training leaves besides weights; a checkpoint keeps it."""

    curve: list[dict[str, float]]  # step, loss, lr and what the method logged
    pending: tuple[float, int, dict[str, float]]  # loss, steps, values since the last point
    resumes: int
    prepare: float  # seconds, each part without the others; those before a stop included
    train: float
    compile: float
    finish: float
    shared: float  # what work that was found in the cache had cost
    memory: float | None  # MiB, the highest above the loaded model
    reported: dict[str, Any]  # parts of the result that the method alone knows
    notes: list[str]  # what a board must say of it
    selected: NotRequired[Selected]  # where weights are selected by a score
    probe: NotRequired[list[Look]]  # where a learning curve of scores was asked for


CURVE_POINTS = 50
CHECKPOINT_SECONDS = 300.0


def train(
    run: TrainingContext, method: Method, folder: Path | None, stop_at: int | None = None
) -> TrainingRecord:
    """Prepare the method, train to `run.steps` and finish.

    A checkpoint is written to `folder` every five minutes, on SIGINT or SIGTERM, when the run's
    time is up, and behind the last step, so that whatever ends the cell before it is scored costs
    no training; the next call picks it up. `stop_at` ends a call early at that step.

    Raises:
        CellError: the loss is not a finite number.
        KeyboardInterrupt: after SIGINT, the checkpoint being written. TerminatedError: after
            SIGTERM. TimeUpError: likewise, when `run.progress` raises it.
        UnfitCheckpointError: there was a checkpoint that this run cannot go on from. A new run of
            the cell starts at its beginning.
    """
    if folder is not None and _settled(run, folder):
        optimizer, record = _resumed(run, method, folder)
    else:
        optimizer, record = _begun(run, method)
    if run.micro_batch and run.step < run.steps:
        note = f"memory ran out: micro-batches of {run.micro_batch}, the same batch for each step"
        record["notes"] += [note] if note not in record["notes"] else []
    try:
        _Loop(run, method, optimizer, folder, record).train_until(
            run.steps if stop_at is None else min(stop_at, run.steps)
        )
    except BaseException as error:
        if folder and run.accelerator.is_main_process and not _goes_on(error):
            checkpoint.remove(folder)  # what was mended since starts at the beginning
        raise
    if run.sharded:
        from bench.training.sharding import release  # torch.distributed is slow to import

        release(run)
    clock = time.perf_counter()
    if run.step == run.steps:
        _put_best(run)
        method.finish(run)
    record["finish"] = time.perf_counter() - clock
    return record


def _put_best(run: TrainingContext) -> None:
    """Where weights are selected, those with the best score in place of the last."""
    with torch.no_grad():
        for name, parameter in run.net.named_parameters():
            if name in run.best:
                parameter.copy_(run.best[name])
    run.best = {}


def _goes_on(error: BaseException) -> bool:
    """Whether a training that this ended may go on from its checkpoint."""
    stops = KeyboardInterrupt, TerminatedError, TakenOverError, TimeUpError
    return isinstance(error, stops) or is_out_of_memory(error)


def _settled(run: TrainingContext, folder: Path) -> bool:
    """Whether there is a checkpoint at `folder`, in all processes alike.

    Raises:
        UnfitCheckpointError: there were only damaged ones.
    """
    damage = [checkpoint.settle(folder) if run.accelerator.is_main_process else None]
    broadcast_object_list(damage)
    if damage[0] is not None:
        raise UnfitCheckpointError(damage[0])
    return checkpoint.is_there(folder)


def _begun(run: TrainingContext, method: Method) -> tuple[Any, TrainingRecord]:
    """Prepare the method; its optimizer, and a record without a step."""
    clock, cache = time.perf_counter(), run.cache
    saved, compiled_before = cache.saved_seconds, cache.compile_seconds
    method.prepare(run)
    record = _new_record(run)
    record["shared"] = cache.saved_seconds - saved
    record["compile"] = cache.compile_seconds - compiled_before
    optimizer = _optimizer(run, method)
    record["prepare"] = time.perf_counter() - clock - record["compile"]
    return optimizer, record


def _resumed(run: TrainingContext, method: Method, found: Path) -> tuple[Any, TrainingRecord]:
    """The optimizer and the record that the checkpoint `found` holds, all else being put back."""
    try:
        document = checkpoint.load(found, run, method)
        optimizer = _optimizer(run, method)
        record: TrainingRecord = checkpoint.restore(found, document, run, optimizer)
        if lacking := _new_record(run).keys() - record.keys():
            raise KeyError(*lacking)
        due = [step for step in range(run.step + 1) if _is_probed(run, step)]
        if due and [look["point"]["step"] for look in record["probe"]] != due:
            raise ValueError("its learning curve of scores has other steps")
    except (BenchError, CellError, MemoryError, torch.OutOfMemoryError):
        raise  # not the checkpoint's fault
    except Exception as error:  # whatever its files are, or a method makes of them
        run.accelerator.wait_for_everyone()  # others may still read it
        if run.accelerator.is_main_process:
            checkpoint.remove(found)
        run.accelerator.wait_for_everyone()
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise UnfitCheckpointError(checkpoint.unusable(found, reason)) from error
    record["resumes"] += 1
    run.reported, run.notes = record["reported"], record["notes"]
    return optimizer, record


def _is_probed(run: TrainingContext, step: int) -> bool:
    """Whether the learning curve of scores has a point there."""
    every = run.cell.recipe.eval_every
    return run.probe is not None and every is not None and (step % every == 0 or step == run.steps)


def _new_record(run: TrainingContext) -> TrainingRecord:
    record: TrainingRecord = {
        "curve": [],
        "pending": (0.0, 0, {}),
        "resumes": 0,
        "prepare": 0.0,
        "train": 0.0,
        "compile": 0.0,
        "finish": 0.0,
        "shared": 0.0,
        "memory": None,
        "reported": run.reported,
        "notes": run.notes,
    }
    return {**record, "probe": []} if run.probe else record


def _optimizer(run: TrainingContext, method: Method) -> Any:
    """The method's; from here on weights are sharded, where they are to be."""
    found = _checked(method.optimizer(run), torch.optim.Optimizer, f"{method.name}.optimizer")
    if shards() and run.step < run.steps:
        from bench.training.sharding import shard

        shard(run, method, found)
    return found


def _checked(value: Any, kind: type, hook: str) -> Any:
    """What a hook returned; CellError where that is of another kind (a `return` was forgotten)."""
    if not isinstance(value, kind):
        raise CellError(f"{hook} returns {value!r}, which is no {kind.__name__}")
    return value


class _Loop:
    """What the loop keeps between steps."""

    def __init__(
        self,
        run: TrainingContext,
        method: Method,
        optimizer: Any,
        folder: Path | None,
        record: TrainingRecord,
    ) -> None:
        self.run, self.method, self.optimizer = run, method, optimizer
        self.folder, self.record = folder, record
        self.recipe = run.cell.recipe
        self.point_every = max(1, run.steps // CURVE_POINTS)
        self.loss_sum = torch.tensor(record["pending"][0], device=run.device)
        self.summed, run.logged = record["pending"][1], record["pending"][2]
        self.last_loss: float | None = None
        self.caught: list[BaseException] = []  # what is to be raised behind the step
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        model = compiled(run.task_model) if self.recipe.compile else run.task_model
        if run.sharded:
            self.wrapped, run.optimizer = model, run.accelerator.prepare(optimizer)
        else:
            self.wrapped, run.optimizer = run.accelerator.prepare(model, optimizer)

    def train_until(self, end: int) -> None:
        """Train from `run.step` to `end`, deferring signals to the end of a step."""
        run, record = self.run, self.record
        run.model = self.wrapped.train()
        if run.step == 0:
            self._probe()
        start = saved = time.perf_counter()
        before, compiled_before = record["train"], record["compile"]
        task, seed = run.cell.task.name, run.cell.seed
        order = step_batches(run.train_rows, self.recipe, task, seed, run.step, end)
        rounding = tf32(self.recipe.tf32)
        defer = deferred_signals(self.caught, lambda: self._say("train"))
        with defer, self._compiler() as clock, self._recomputing(), rounding:
            for indices in order:
                self._step(indices)
                self._look()
                start += self._probe()  # no cost of the method's
                now = time.perf_counter()
                record["train"] = before + now - start - clock.seconds
                record["compile"] = compiled_before + clock.seconds
                due = self._agreed(now - saved > CHECKPOINT_SECONDS)
                if self.caught:
                    break
                if due:
                    self._save()
                    saved = time.perf_counter()
                    start += saved - now  # writing is no cost of the method's
            self._save()
        run.model = run.task_model
        if self.caught:
            raise self.caught[0]

    def _agreed(self, due: bool) -> bool:
        """Whether a checkpoint is due; a sharded one takes all processes, so they stop together."""
        if not self.run.sharded:
            return due
        from bench.training.sharding import agreed

        return agreed(self.run, self.caught, due)

    def _compiler(self) -> contextlib.AbstractContextManager[Clock]:
        """The clock of what is compiled while training."""
        if not self.recipe.compile:
            return contextlib.nullcontext(Clock())
        return compile_clock(lambda: self._say("compile"))

    def _recomputing(self) -> contextlib.AbstractContextManager[None]:
        """Where the recipe says so, activations are computed twice while training."""
        if not self.recipe.checkpointing:
            return contextlib.nullcontext()
        return activations_recomputed(self.run.net)

    def _say(self, what: str) -> None:
        """Tell what is going on, for a person to see."""
        run, stopping = self.run, ", then stop" if self.caught else ""
        try:
            run.progress(what + stopping, run.step, run.steps, self.last_loss)
        except TimeUpError as error:
            self.caught.append(error)

    def _step(self, indices: list[int]) -> None:
        """One optimizer step on the given examples."""
        run, accelerator = self.run, self.run.accelerator
        factor = rate_factor(self.recipe, run.step, run.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor
        # dropout depends on (task, seed, step) alone: no method can shift it
        # (without a GPU, torch's own call notes for kinds that are not there where it was made)
        generator = torch.default_generator if run.device.type == "cpu" else torch
        generator.manual_seed(derive_seed(run.cell.task.name, run.cell.seed, "dropout", run.step))
        run.logging = (run.step + 1) % self.point_every == 0 or run.step + 1 == run.steps
        parts = micro_batches(
            run.train_rows,
            indices,
            run.micro_batch or self.recipe.micro_batch,
            run.tokenizer.pad_token_id,
            accelerator.process_index,
            accelerator.num_processes,
        )
        for i, part in enumerate(parts):
            last = i + 1 == len(parts)
            with contextlib.nullcontext() if last else accelerator.no_sync(self.wrapped):
                loss = self.method.loss(run, part.to(run.device))
                _checked(loss, torch.Tensor, f"{self.method.name}.loss")
                accelerator.backward(loss)
            self.loss_sum += loss.detach()
        self.summed += 1
        self.method.after_backward(run)
        run.update()
        run.step += 1
        self.method.after_step(run)
        if run.logging:
            self._keep_point(factor)
        self._say("train")

    def _look(self) -> None:
        """Score the weights where that is due, and keep them where they are the best so far; what
        it takes is a cost of the training."""
        run, record = self.run, self.record
        epoch = math.ceil(len(run.train_rows) / self.recipe.batch_size)
        due = run.step % (self.recipe.eval_every or epoch) == 0 or run.step == run.steps
        if run.judge is None or not due:
            return
        with run.whole():
            score = run.judge(run)
            if "selected" not in record or score > record["selected"]["score"]:
                record["selected"] = {"step": run.step, "score": score}
                weights = checkpoint.changing(run, self.method)
                run.best = {name: p.to("cpu", copy=True) for name, p in weights.items()}
        self.wrapped.train()

    def _probe(self) -> float:
        """A point of the learning curve of scores, where that is due; the seconds it took."""
        run, clock = self.run, time.perf_counter()
        if run.probe is None or not _is_probed(run, run.step):
            return 0.0
        with run.whole():
            self.record["probe"].append(run.probe(run))
        self.wrapped.train()
        return time.perf_counter() - clock

    def _keep_point(self, factor: float) -> None:
        """A point of the curve: the mean loss since the last one."""
        run = self.run
        total = run.accelerator.reduce(self.loss_sum, "mean")
        self.last_loss = loss = float(total) / self.summed
        if not math.isfinite(loss):
            raise CellError(
                f"the loss is {loss} at step {run.step} of {run.steps}; "
                "a smaller learning rate or strength may help"
            )
        point = {"step": float(run.step), "loss": loss, "lr": self.recipe.lr * factor}
        self.record["curve"].append({**point, **run.logged})
        run.accelerator.log({**point, **run.logged}, step=run.step)
        run.logged = {}
        self.loss_sum = torch.zeros_like(self.loss_sum)
        self.summed = 0

    def _save(self) -> None:
        """Write a checkpoint; a disk without room for one ends no training."""
        run = self.run
        if self.folder and (run.accelerator.is_main_process or run.sharded):
            self.record["pending"] = (float(self.loss_sum), self.summed, run.logged)
            try:
                checkpoint.save(self.folder, run, self.method, self.optimizer, self.record)
            except BenchError as error:
                print(f"no checkpoint at step {run.step} of {run.cell}: {error}", file=sys.stderr)
