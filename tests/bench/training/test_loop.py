"""The loop: rates, the whole that parts add up to, stopping (bench.training.signals), and more than
one process."""

from __future__ import annotations

import json
import shutil
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from torch import Tensor

from bench.cells.recipe import Training
from bench.core.errors import BenchError, CellError, TerminatedError
from bench.core.hashing import derive_seed
from bench.selfcheck.world import plan_for, stage_for, trained, weights
from bench.training import checkpoint, loop
from bench.training.context import TrainingContext
from bench.training.loop import train
from bench.training.schedule import rate_factor
from methods.finetune import Finetune


def test_rates_rise_and_fall() -> None:
    linear = Training(warmup=0.2)
    assert [rate_factor(linear, t, 10) for t in (0, 1, 2, 6, 9)] == pytest.approx(
        [1 / 3, 2 / 3, 1.0, 0.5, 1 / 8]
    )
    cosine = Training(warmup=0.0, schedule="cosine")
    assert [rate_factor(cosine, t, 4) for t in range(4)] == pytest.approx(
        [1.0, 0.853553, 0.5, 0.146447], rel=1e-5
    )
    constant = Training(warmup=0.0, schedule="constant")
    assert {rate_factor(constant, t, 7) for t in range(7)} == {1.0}


def test_the_loop_is_adamw_on_the_mean_token_loss(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    """Against torch's own AdamW on the network's own loss, one example at a time."""
    from transformers import AutoModelForCausalLM

    from bench.network.batches import step_batches

    words = ("train.clip=0.5", "train.weight_decay=0.1")
    stage = trained(plan_for(["finetune"], ["cola"], tiny_causal, tiny_data, *words), tmp_path)
    recipe, rows = stage.cell.training, stage.run.train_rows
    net = AutoModelForCausalLM.from_pretrained(tiny_causal)
    decayed = [p for p in net.parameters() if p.ndim > 1]
    others = [p for p in net.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=recipe.lr, betas=(0.9, 0.999), eps=1e-8)
    for step, indices in enumerate(step_batches(rows, recipe, "cola", 0, 0, 4)):
        answers = [rows.answers[i][rows.gold[i]] for i in indices]
        tokens = sum(map(len, answers))
        for i, answer in zip(indices, answers, strict=True):
            prompt = rows.prompts[i]
            labels = torch.tensor([[-100] * len(prompt) + answer])
            loss = net(input_ids=torch.tensor([prompt + answer]), labels=labels).loss
            (loss * len(answer) / tokens).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 0.5)
        for group in optimizer.param_groups:
            group["lr"] = recipe.lr * rate_factor(recipe, step, 4)
        optimizer.step()
        optimizer.zero_grad()
    for name, parameter in net.named_parameters():
        moved = weights(stage)[name]
        assert torch.allclose(moved, parameter, atol=2e-5), name


def test_a_stopped_call_goes_on_exactly(
    tiny_encoder: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With dropout, in the second epoch, between two points of the curve; what a method has
    logged by then is kept for the next."""

    def log_every_third(_: Finetune, run: TrainingContext) -> None:
        if run.step % 3 == 0:
            run.log(third=run.step)

    monkeypatch.setattr(loop, "CURVE_POINTS", 3)
    monkeypatch.setattr(Finetune, "after_step", log_every_third)
    plan = plan_for(["finetune"], ["rte"], tiny_encoder, tiny_data, "train.steps=12")
    whole = stage_for(plan, tmp_path)
    record = train(whole.run, whole.method, None)
    folder = tmp_path / "stopped"
    for stop in (3, 7, None):
        part = stage_for(plan, tmp_path)
        last = train(part.run, part.method, folder, stop)
    assert last["resumes"] == 2
    assert last["curve"] == record["curve"]
    assert [point["third"] for point in last["curve"]] == [3, 6, 12]
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(part)[name]), name


def test_ctrl_c_ends_the_step_writes_a_checkpoint_and_stops(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    plan = plan_for(["recadam"], ["cola"], tiny_causal, tiny_data, "train.steps=9")
    stage = stage_for(plan, tmp_path)
    folder = tmp_path / "checkpoint"
    said = []

    def stop_at_four(what: str, done: int, of: int, loss: float | None) -> None:
        said.append(what)
        if len(said) == 4:
            signal.raise_signal(signal.SIGINT)

    stage.run.progress = stop_at_four
    handler = signal.getsignal(signal.SIGINT)  # none where the tests run in the background
    with pytest.raises(KeyboardInterrupt):
        train(stage.run, stage.method, folder)
    assert signal.getsignal(signal.SIGINT) is handler
    assert said == [*["train"] * 4, "train, then stop"]
    assert json.loads((folder / "checkpoint.json").read_text())["step"] == 4
    rest = stage_for(plan, tmp_path)
    train(rest.run, rest.method, folder)
    whole = trained(plan, tmp_path)
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(rest)[name]), name


@pytest.mark.parametrize(("seconds", "steps"), [(1.0, [2]), (0.0, [])])
def test_a_signal_that_comes_again_at_once_is_the_same_wish(
    tiny_causal: Path,
    tiny_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    steps: list[int],
) -> None:
    """A key that was pressed twice, a scheduler that says it twice: the step and its checkpoint
    are not lost. Later it is meant."""

    def impatient(_: Finetune, run: Any) -> None:
        if run.step == 2:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("bench.core.stops._ONE_WISH_SECONDS", seconds)
    monkeypatch.setattr(Finetune, "after_step", impatient)
    stage = stage_for(plan_for(["finetune"], ["cola"], tiny_causal, tiny_data), tmp_path)
    folder = tmp_path / "checkpoint"
    with pytest.raises(TerminatedError):
        train(stage.run, stage.method, folder)
    made = folder.glob("checkpoint.json")
    assert [json.loads(path.read_text())["step"] for path in made] == steps


@pytest.mark.parametrize(
    ("number", "stops"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, TerminatedError)]
)
def test_what_a_signal_broke_is_no_failure_of_the_cell(
    tiny_causal: Path,
    tiny_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    stops: type[BaseException],
) -> None:
    """A compiler that the step waited for, which Ctrl-C ended too."""

    def broken(_: Finetune, run: Any, batch: Any) -> Any:
        signal.raise_signal(number)
        raise CellError("the compiler was killed")

    monkeypatch.setattr(Finetune, "loss", broken)
    stage = stage_for(plan_for(["finetune"], ["cola"], tiny_causal, tiny_data), tmp_path)
    handler = signal.getsignal(number)
    with pytest.raises(stops):
        train(stage.run, stage.method, None)
    assert signal.getsignal(number) is handler


def test_a_checkpoint_is_written_by_the_clock(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    stage = stage_for(plan_for(["finetune"], ["cola"], tiny_causal, tiny_data), tmp_path)
    train(stage.run, stage.method, tmp_path / "checkpoint")
    assert json.loads((tmp_path / "checkpoint" / "checkpoint.json").read_text())["step"] == 4


def test_ctrl_c_while_the_last_checkpoint_is_written_waits_for_it(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        save(*args)

    save = checkpoint.save
    monkeypatch.setattr(checkpoint, "save", interrupted)
    stage = stage_for(plan_for(["finetune"], ["cola"], tiny_causal, tiny_data), tmp_path)
    with pytest.raises(KeyboardInterrupt):
        train(stage.run, stage.method, tmp_path / "checkpoint")
    assert json.loads((tmp_path / "checkpoint" / "checkpoint.json").read_text())["step"] == 4


def test_a_full_disk_ends_no_training_and_leaves_the_last_checkpoint(
    tiny_causal: Path,
    tiny_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan = plan_for(["finetune"], ["cola"], tiny_causal, tiny_data)
    folder = tmp_path / "checkpoint"
    stage = stage_for(plan, tmp_path)
    train(stage.run, stage.method, folder, stop_at=2)

    def no_room(path: Path, text: str) -> None:
        raise BenchError(f"cannot write {path}: No space left on device.")

    monkeypatch.setattr(checkpoint, "atomic_write_text", no_room)
    rest = stage_for(plan, tmp_path)
    assert train(rest.run, rest.method, folder)["curve"][-1]["step"] == 4
    said = "no checkpoint at step 4 of finetune x cola x seed 0: cannot write "
    assert said in capsys.readouterr().err
    assert json.loads((folder / "checkpoint.json").read_text())["step"] == 2
    assert not (tmp_path / "checkpoint.new").exists()


@pytest.mark.parametrize("crash", ["while writing", "before the old one", "before the new one"])
def test_a_crash_while_a_checkpoint_is_written_leaves_a_whole_one(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path, crash: str
) -> None:
    plan = plan_for(["finetune"], ["cola"], tiny_causal, tiny_data)
    folder = tmp_path / "checkpoint"
    for stop in (1, 2):
        stage = stage_for(plan, tmp_path)
        train(stage.run, stage.method, folder, stop)
    if crash == "while writing":
        (tmp_path / "checkpoint.new").mkdir()
        (tmp_path / "checkpoint.new" / "weights.safetensors").write_bytes(b"half")
    elif crash == "before the old one":
        folder.rename(tmp_path / "checkpoint.new")
        folder.mkdir()
    else:
        folder.rename(tmp_path / "checkpoint.old")
    rest = stage_for(plan, tmp_path)
    assert train(rest.run, rest.method, folder)["resumes"] == 2
    for name, value in weights(trained(plan, tmp_path)).items():
        assert torch.equal(value, weights(rest)[name]), name


@pytest.mark.parametrize("left_at", ["new", "old"])
def test_the_only_whole_checkpoint_stays_until_the_next_is_whole(
    tiny_causal: Path,
    tiny_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    left_at: str,
) -> None:
    """Killed between two renames, and then again while the next one is written."""
    plan = plan_for(["finetune"], ["cola"], tiny_causal, tiny_data)
    folder = tmp_path / "checkpoint"
    stage = stage_for(plan, tmp_path)
    train(stage.run, stage.method, folder, stop_at=2)
    folder.rename(tmp_path / f"checkpoint.{left_at}")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "atomic_write_tensors", killed)
        stage = stage_for(plan, tmp_path)
        with pytest.raises(KeyboardInterrupt):
            train(stage.run, stage.method, folder, stop_at=3)
    stage = stage_for(plan, tmp_path)
    assert train(stage.run, stage.method, folder)["resumes"] == 1
    assert stage.run.step == 4


def test_attention_dropout_and_the_machines_precision_change_nothing(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Llama's attention dropout is no module, and accelerate reads its precision from outside."""
    model = shutil.copytree(tiny_causal, tmp_path / "model")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "attention_dropout": 0.3}))
    plan = plan_for(["finetune"], ["cola"], model, tiny_data)
    first = weights(trained(plan, tmp_path / "a"))
    torch.rand(3)  # the global stream has moved on
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    AcceleratorState._reset_state(True)  # it is kept per process, and would not look again
    second = weights(trained(plan, tmp_path / "b"))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_each_step_draws_numbers_of_its_own(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By task, seed and step alone, whatever was drawn before."""
    stage = stage_for(plan_for(["finetune"], ["cola"], tiny_causal, tiny_data), tmp_path)
    drawn, loss = list[Tensor](), stage.method.loss

    def drawing(*given: Any) -> Tensor:
        drawn.append(torch.rand(2))
        return loss(*given)

    monkeypatch.setattr(stage.method, "loss", drawing)
    train(stage.run, stage.method, None)
    seeds = [derive_seed("cola", 0, "dropout", step) for step in range(stage.run.steps)]
    expected = [torch.rand(2, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    assert len(drawn) == len(expected) > 1
    assert all(torch.equal(a, b) for a, b in zip(drawn, expected, strict=True))


def test_a_loss_that_is_no_number_fails_the_cell(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    stage = stage_for(plan_for(["finetune"], ["cola"], tiny_causal, tiny_data), tmp_path)
    with torch.no_grad():
        next(stage.run.net.parameters()).fill_(float("nan"))
    with pytest.raises(CellError, match="the loss is nan at step 1 of 4"):
        train(stage.run, stage.method, None)


def test_signals_are_left_alone_in_other_threads(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    done: list[Any] = []
    plan = plan_for(["finetune"], ["cola"], tiny_causal, tiny_data)
    thread = threading.Thread(target=lambda: done.append(trained(plan, tmp_path)))
    thread.start()
    thread.join()
    assert done[0].run.step == 4
