"""Each numerical kernel, what it is compared with, and how far it is off."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from bench.gradients.fisher import class_fisher, fisher_diagonal, forgetting_confidence
from bench.network.generation import sample
from bench.speed import references
from bench.speed.references import relative_error
from bench.speed.workloads import (
    PAD,
    Batch,
    Size,
    Workload,
    bert,
    class_logits,
    label_losses,
    llama,
)
from methods.ewc import EWC, EWCConfig
from methods.recadam.optimizer import RecAdamW, Schedule

CHECKED = 4  # examples that an error is taken over
LR, GAMMA, DECAY = 1e-5, 5000.0, 0.01  # as published; the suite's decay
ALPHA = 5e-4
NEW_TOKENS = 16  # of an elicited answer


@dataclass(frozen=True)
class Contest:
    """Two calls whose times are compared, and the error of the first."""

    ours: Callable[[], object]
    theirs: Callable[[], object]
    error: Callable[[], float] | None = None
    of_speeds: bool = False  # whether the ratio is of speeds and not of times


@dataclass(frozen=True)
class Kernel:
    """How to set a contest up, and by what its work grows."""

    build: Callable[[Size], Contest]
    samples: int = 64  # but where `--growth` asks for more
    axes: tuple[str, ...] = ("samples", "hidden", "length")


def recadam_step(compiled: bool, size: Size) -> Contest:
    """Ten of RecAdam's updates beside ten of fused AdamW's."""
    net = llama(size).net
    ours, theirs = (_with_gradients(copy.deepcopy(net)) for _ in range(2))
    recadam = _recadam(ours, Schedule("sigmoid", k=0.1, t0=250), compiled)
    adamw = torch.optim.AdamW(theirs.values(), lr=LR, weight_decay=DECAY, fused=True)

    def ten(optimizer: torch.optim.Optimizer) -> None:
        for _ in range(10):
            optimizer.step()

    return Contest(
        partial(ten, recadam), partial(ten, adamw), partial(_recadam_error, net, compiled)
    )


def _with_gradients(net: Any) -> dict[str, Tensor]:
    """The parameters, each with a random gradient."""
    parameters = dict(net.named_parameters())
    for parameter in parameters.values():
        parameter.grad = 0.01 * torch.randn_like(parameter)
    return parameters


def _recadam(parameters: dict[str, Tensor], schedule: Schedule, compiled: bool) -> RecAdamW:
    group = {"params": list(parameters.values()), "names": list(parameters), "pretrained": True}
    anchor = {name: p.detach() + 0.01 * torch.randn_like(p) for name, p in parameters.items()}
    groups = [{**group, "weight_decay": DECAY}]
    return RecAdamW(groups, anchor, schedule, GAMMA, compiled, lr=LR)


def _recadam_error(net: Any, compiled: bool) -> float:
    """After three steps around the middle of the annealing."""
    schedule = Schedule("sigmoid", k=0.5, t0=2)
    parameters = dict(list(copy.deepcopy(net).named_parameters())[:CHECKED])
    starts = {name: p.detach().clone() for name, p in parameters.items()}
    optimizer = _recadam(parameters, schedule, compiled)
    gradients: dict[str, list[Tensor]] = {name: [] for name in parameters}
    for _ in range(3):
        for name, parameter in parameters.items():
            parameter.grad = torch.randn_like(parameter)
            gradients[name].append(parameter.grad)
        optimizer.step()
    expected = {
        name: references.recadam(
            start, gradients[name], optimizer.anchor[name], schedule, LR, GAMMA, DECAY
        )
        for name, start in starts.items()
    }
    return relative_error({name: p.detach() for name, p in parameters.items()}, expected)


def ewc(size: Size) -> Contest:
    """What EWC adds to the gradients of training steps, beside those steps."""
    workload = llama(size)
    net, method = workload.net, EWC(EWCConfig())
    base = {name: p.detach() + 0.01 * torch.randn_like(p) for name, p in net.named_parameters()}
    method.stiffness = {name: torch.rand_like(value) for name, value in base.items()}
    # the part of a TrainingContext that the hook reads
    loaded: Any = SimpleNamespace(pretrained=net.named_parameters)
    run: Any = SimpleNamespace(logging=False, anchor=base, loaded=loaded)
    optimizer = torch.optim.AdamW(net.parameters(), lr=LR, fused=True)
    memory = {parameter: torch.zeros_like(parameter) for parameter in net.parameters()}

    def hooks() -> None:
        for parameter in net.parameters():
            parameter.grad = memory[parameter]
        for _ in workload.batches:
            method.after_backward(run)

    def steps() -> None:
        optimizer.zero_grad(set_to_none=True)
        for batch in workload.batches:
            torch.autograd.backward(workload.losses(net, batch).mean())
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def error() -> float:
        """Of the penalty's gradient, against autograd in float64."""
        for parameter in net.parameters():
            parameter.grad = torch.zeros_like(parameter)
        method.after_backward(run)
        found = {name: p.grad for name, p in net.named_parameters()}
        theta = {n: p.detach().double().requires_grad_() for n, p in net.named_parameters()}
        terms = (method.stiffness[n].double() * (p - base[n]).square() for n, p in theta.items())
        penalty = 0.5 * sum((term.sum() for term in terms), torch.zeros((), device=net.device))
        gradients = torch.autograd.grad(penalty, list(theta.values()))
        net.zero_grad(set_to_none=True)
        return relative_error(found, dict(zip(theta, gradients, strict=True)))

    return Contest(hooks, steps, error)


def fisher(make: Callable[[Size], Workload], size: Size) -> Contest:
    """The Fisher diagonal beside one ordinary forward and backward pass."""
    workload = make(size)

    def error() -> float:
        few = _few(workload)
        found = fisher_diagonal(workload.net, [few], workload.losses)
        return relative_error(found, references.fisher(workload.net, few, workload.losses))

    return Contest(
        lambda: fisher_diagonal(workload.net, workload.batches, workload.losses),
        workload.ordinary,
        error,
    )


def true_fisher(size: Size) -> Contest:
    """The Fisher diagonal of labels drawn from the model, beside the same pass."""
    workload = bert(size)

    def drawn(batches: list[Batch]) -> dict[str, Tensor]:
        draw = torch.Generator(workload.net.device).manual_seed(0)
        return class_fisher(workload.net, batches, class_logits, draw)

    def error() -> float:
        few = _few(workload)
        draw = torch.Generator(workload.net.device).manual_seed(0)
        with torch.no_grad():
            shares = class_logits(workload.net, few).softmax(-1)
        labelled = {**few, "labels": torch.multinomial(shares, 1, generator=draw)[:, 0]}
        return relative_error(drawn([few]), references.fisher(workload.net, labelled, label_losses))

    return Contest(lambda: drawn(workload.batches), workload.ordinary, error)


def confidence(make: Callable[[Size], Workload], size: Size) -> Contest:
    """Forgetting confidence of each sample, beside one ordinary pass over them."""
    workload = make(size)
    parameters = dict(workload.net.named_parameters())
    weights = {name: torch.rand_like(p) for name, p in parameters.items()}
    star = {name: p.detach() + 1e-3 * torch.randn_like(p) for name, p in parameters.items()}

    def of(batches: list[Batch]) -> Tensor:
        values = workload.net, batches, workload.losses, weights, star, ALPHA
        return forgetting_confidence(*values).change

    def error() -> float:
        """Of what differs between samples; the part that is the same for all is left out."""
        few = _few(workload)
        expected = references.confidence(workload.net, few, workload.losses, weights, star, ALPHA)
        return relative_error({"change": of([few]).cpu()}, {"change": expected})

    return Contest(lambda: of(workload.batches), workload.ordinary, error)


def elicitation(size: Size) -> Contest:
    """Sampled answers to a batch of prompts beside one prompt at a time."""
    workload = llama(size)
    prompts = [
        ids[mask.bool()].tolist()
        for batch in workload.batches
        for ids, mask in zip(batch["ids"], batch["mask"], strict=True)
    ]
    # no end token: all answers have the same length
    tokenizer = SimpleNamespace(pad_token_id=PAD, eos_token_id=None)

    def answers(prompts: list[list[int]]) -> None:
        sample(workload.net, tokenizer, prompts, seed=0, max_new_tokens=NEW_TOKENS)

    def one_by_one() -> None:
        for prompt in prompts:
            answers([prompt])

    return Contest(lambda: answers(prompts), one_by_one, of_speeds=True)


def _few(workload: Workload) -> Batch:
    return {name: value[:CHECKED] for name, value in workload.batches[0].items()}


KERNELS = {
    "recadam step / fused AdamW": Kernel(partial(recadam_step, False), axes=("hidden",)),
    "recadam compiled / fused AdamW": Kernel(partial(recadam_step, True), axes=()),
    "EWC's gradient / training step": Kernel(ewc),
    "fisher / ordinary, llama": Kernel(partial(fisher, llama)),
    "fisher / ordinary, bert": Kernel(partial(fisher, bert)),
    "true fisher / ordinary, bert": Kernel(true_fisher),
    "confidence / ordinary, llama": Kernel(partial(confidence, llama), 32),
    "confidence / ordinary, bert": Kernel(partial(confidence, bert), 32),
    "elicitation: batch of 32 / one by one": Kernel(elicitation, 32),
}
