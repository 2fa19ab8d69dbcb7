"""ga, npo, multitask and replay: the gradient that each adds, and the rows it adds it on.

They are methods.ga, methods.npo, methods.multitask and methods.replay.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, logsigmoid

from bench.core.errors import BenchError
from bench.network.running_text import cut_blocks
from bench.running.session import CellSession
from bench.selfcheck.world import plan_for, stage_for
from methods.shared import auxiliary_rows
from methods.shared.answers import turn_of
from methods.shared.auxiliary_loss import AuxiliaryLoss
from methods.shared.auxiliary_rows import preference

METHODS = ["ga", "npo", "multitask", "replay"]


@pytest.fixture
def prepared(tiny_causal: Path, tiny_data: Path, tmp_path: Path) -> Any:
    """A cell that learns CoLA beside RTE, prepared, and its weights then shaken off θ0."""

    def make(name: str, *settings: str, **options: Any) -> CellSession:
        words = f"{name}.weight=0.5", *settings
        stage = stage_for(
            plan_for([name], ["cola"], tiny_causal, tiny_data, *words, **options), tmp_path
        )
        stage.method.prepare(stage.run)
        stage.run.optimizer = None
        torch.manual_seed(5)
        for parameter in stage.run.net.parameters():
            parameter.data += 0.05 * torch.randn_like(parameter)
        return stage

    return make


def method_of(stage: CellSession) -> AuxiliaryLoss:
    method = stage.method
    assert isinstance(method, AuxiliaryLoss)
    return method


def log_likelihoods(net: Any, method: AuxiliaryLoss) -> tuple[Tensor, int]:
    """log π of every row by the network's own forward pass, row by row; and the tokens."""
    found, tokens = [], 0
    for prompt, answer in zip(method.rows.prompts, method.rows.answers, strict=True):
        logits = net(input_ids=torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
        found.append(-cross_entropy(logits, torch.tensor(answer), reduction="sum"))
        tokens += len(answer)
    return torch.stack(found), tokens


def base_likelihoods(stage: CellSession, method: AuxiliaryLoss) -> Tensor:
    """log π0."""
    own = {n: p.detach().clone() for n, p in stage.run.net.named_parameters()}
    with torch.no_grad():
        stage.run.net.load_state_dict(stage.loaded.base, strict=False)
        found, _ = log_likelihoods(stage.run.net, method)
        stage.run.net.load_state_dict(own, strict=False)
    return found


@pytest.mark.parametrize("name", METHODS)
def test_the_gradient_is_that_of_the_definition(name: str, prepared: Any) -> None:
    """On one batch of all rows, against autograd of the equation on the card."""
    rows = "blocks=4" if name == "replay" else "rows=8"
    size = "share=10" if name == "replay" else "batch_size=8"
    more = ["ga.max_unlearn_nll=1000"] if name == "ga" else []
    stage = prepared(name, f"{name}.{rows}", f"{name}.{size}", *more)
    method, net = method_of(stage), stage.run.net
    assert len(method.rows) >= 4
    base = base_likelihoods(stage, method)
    found, tokens = log_likelihoods(net, method)
    terms = {
        "ga": found.mean(),
        "npo": -(2 / 0.1) * logsigmoid(-0.1 * (found - base)).mean(),
        "multitask": -found.sum() / tokens,
        "replay": -found.sum() / tokens,
    }
    names, parameters = zip(*net.named_parameters(), strict=True)
    wanted = torch.autograd.grad(0.5 * terms[name], parameters)
    method.after_backward(stage.run)
    for key, parameter, expected in zip(names, parameters, wanted, strict=True):
        assert parameter.grad is not None, key
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-3, atol=1e-5, msg=key)


def test_npo_becomes_ascent_as_beta_goes_to_0() -> None:
    losses = torch.tensor([2.0, 5.0, 9.0], dtype=torch.float64, requires_grad=True)
    base = torch.tensor([3.0, 3.0, 3.0], dtype=torch.float64)
    ascent = torch.full((3,), -1 / 3, dtype=torch.float64)  # of the mean of log π
    gaps = []
    for beta in (1.0, 0.1, 0.01, 1e-4):
        (g,) = torch.autograd.grad(preference(losses, base, beta), losses)
        gaps.append(float((g - ascent).abs().max()))
    assert all(later < earlier for earlier, later in pairwise(gaps))
    assert gaps[-1] < 1e-3
    (g,) = torch.autograd.grad(preference(losses, base, 1.0), losses)
    assert g[0].abs() > g[1].abs() > g[2].abs(), "what is unlearned is pushed less"


def test_ascent_stops_at_the_bound(prepared: Any) -> None:
    stage = prepared("ga", "ga.max_unlearn_nll=0")
    stage.method.after_backward(stage.run)
    assert all(p.grad is None for p in stage.run.net.parameters()), "nor is a pass made for it"


def test_the_reference_of_the_same_rows_is_computed_once(
    prepared: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = method_of(prepared("npo", "npo.rows=8"))
    monkeypatch.setattr(auxiliary_rows, "losses_now", lambda *_: pytest.fail("computed again"))
    other = method_of(prepared("npo", "npo.rows=8", "npo.beta=0.5"))  # in the same folder
    assert torch.equal(first.base, other.base)


def test_replay_reads_what_is_not_scored(prepared: Any, tiny_text: Path) -> None:
    stage = prepared("replay", "replay.source=retention", retention=str(tiny_text))
    rows = method_of(stage).rows
    text = tiny_text.read_text()
    scored = cut_blocks(text, stage.tokenizer, 10**9, scored=True)
    mine = [p + a for p, a in zip(rows.prompts, rows.answers, strict=True)]
    assert mine
    assert not {tuple(block) for block in mine} & {tuple(block) for block in scored}
    unread = cut_blocks(text, stage.tokenizer, 10**9, scored=False)
    assert {tuple(block) for block in mine} <= {tuple(block) for block in unread}


@pytest.mark.parametrize("name", ["ga", "npo", "multitask"])
def test_rows_are_training_rows_of_the_forgetting_task(name: str, prepared: Any) -> None:
    stage = prepared(name)
    (task,) = stage.run.forget
    assert task.name == "rte"
    train = stage.run.encode_forget(stage.run.forget_rows["rte"], "rte", 0)
    gold = [a[g] for a, g in zip(train.answers, train.gold, strict=True)]
    known = {(tuple(p), tuple(a)) for p, a in zip(train.prompts, gold, strict=True)}
    rows = method_of(stage).rows
    assert {(tuple(p), tuple(a)) for p, a in zip(rows.prompts, rows.answers, strict=True)} <= known
    assert len(rows) == len(train)


@pytest.mark.parametrize("name", METHODS)
def test_refused_on_an_encoder(name: str, tiny_encoder: Path, tiny_data: Path) -> None:
    with pytest.raises(BenchError, match=f"{name}.* on .*: it is an encoder: "):
        plan_for([name], ["cola"], tiny_encoder, tiny_data)


@pytest.mark.parametrize("batching", ["bucketed", "random"])
def test_batches_beside_the_task_are_of_like_length_where_its_own_are(
    batching: str, prepared: Any
) -> None:
    """Every row once a round; of the tokens that a batch reads, bucketed, few are padding."""
    stage = prepared("ga", "ga.rows=64", "ga.batch_size=8", f"train.batching={batching}")
    rows = method_of(stage).rows
    lengths = [len(p) + len(a) for p, a in zip(rows.prompts, rows.answers, strict=True)]
    turns = [turn_of(stage.run, rows, 8, turn) for turn in range(len(rows) // 8)]
    assert sorted(i for turn in turns for i in turn) == list(range(len(rows)))
    read = sum(len(turn) * max(lengths[i] for i in turn) for turn in turns)
    padding = 1 - sum(lengths) / read
    assert padding < 0.05 if batching == "bucketed" else padding > 0.1
