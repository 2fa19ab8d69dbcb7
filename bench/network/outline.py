"""Networks without values: what a pass would allocate and compute, on any machine.

Passes are made on torch's fake tensors, which have shapes, types and storages of a size, but no
memory behind them.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from bench.network.batches import Batch, Encoded, answer_batch
from bench.network.checkpointing import activations_recomputed
from bench.network.likelihood import TaskModel, Way, answer_scores, example_losses

if TYPE_CHECKING:
    from bench.cells.cell import ModelInfo

_MODE = FakeTensorMode()  # one, for tensors of two do not mix
_CPU = torch.device("cpu")


class Shape(NamedTuple):
    """Of a batch: examples, tokens of the longest, and on a causal LM answer tokens at its end;
    several `choices` are inputs (encoder) or answers (causal LM, scored) of one example."""

    rows: int
    tokens: int
    answer: int = 0
    choices: int = 1


def skeleton(model: ModelInfo, labels: int = 2, **options: Any) -> Any:
    """The network of a model's configuration on torch's meta device, an encoder with a head of
    `labels` outputs: names and shapes."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

    causal = model.kind == "causal"
    factory = AutoModelForCausalLM if causal else AutoModelForSequenceClassification
    config = AutoConfig.from_pretrained(
        model.source, revision=model.revision, trust_remote_code=model.trusted
    )
    if not causal:
        config.num_labels = labels
    with torch.device("meta"):
        return factory.from_config(config, trust_remote_code=model.trusted, **options)


@torch.no_grad()
def emptied(net: nn.Module) -> nn.Module:
    """The network, whose parameters and buffers have become tensors that can be computed with, and
    are passed for such in memory, without having values."""
    found: dict[int, Tensor] = {}
    with _MODE:
        for module in net.modules():
            tensors: list[dict[str, Any]] = [module._parameters, module._buffers]
            for kept in tensors:
                for name, value in kept.items():
                    if value is not None:
                        new = torch.empty(value.shape, dtype=value.dtype)
                        if isinstance(value, nn.Parameter):
                            new = nn.Parameter(new, value.requires_grad)
                        kept[name] = found.setdefault(id(value), new)  # tied ones stay so
    return net


class Peak(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """How many bytes the tensors that are made inside take at most at one time."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now, self.most = 0, 0
        self._alive: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        # what is a view, of weights above all, was made before
        given = {storage._cdata for storage in _storages((args, kwargs))}
        for storage in _storages(found):
            if storage._cdata not in given:
                self._note(storage)
        return found

    def _note(self, storage: torch.UntypedStorage) -> None:
        place, size = storage._cdata, storage.nbytes()
        if place in self._alive:
            return
        self._alive.add(place)
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._forget, place, size).atexit = False

    def _forget(self, place: int, size: int) -> None:
        self._alive.discard(place)
        self.now -= size


def _storages(values: Any) -> list[torch.UntypedStorage]:
    """Those of the tensors in a structure of arguments or results."""
    return [x.untyped_storage() for x in tree_leaves(values) if isinstance(x, Tensor)]


def trained(
    net: Any,
    shapes: Sequence[Shape],
    precision: str,
    checkpointing: bool,
    cut: Sequence[nn.Parameter] = (),
    over: int = 1,
) -> int:
    """Bytes that forward and backward passes over batches, one after the other, allocate at most
    at one time, their gradients added up; of those of parameters that are `cut` over so many
    processes one part stays."""
    model = _Presumed(net.train(), precision)
    recomputing = activations_recomputed(net) if checkpointing else nullcontext()
    kept: list[Tensor] = []

    def keep_part(parameter: Tensor) -> None:
        assert parameter.grad is not None
        kept.append(parameter.grad.new_empty(parameter.numel() // over))
        parameter.grad = None

    hook: Any = Tensor.register_post_accumulate_grad_hook
    handles = [hook(p, keep_part) for p in cut if p.requires_grad]
    with _MODE, recomputing, Peak() as peak:
        for shape in shapes:
            torch.autograd.backward(example_losses(model, _batch(model, shape)).sum())
        net.zero_grad(set_to_none=True)
        kept.clear()
    for handle in handles:
        handle.remove()
    most: int = peak.most
    return most


def operations(net: Any, shape: Shape) -> int:
    """Floating-point operations of a forward and backward pass over a batch."""
    model = _Presumed(net.train(), "float32")
    with _MODE, FlopCounterMode(display=False) as counter:  # which keeps tensors alive
        torch.autograd.backward(example_losses(model, _batch(model, shape)).sum())
        net.zero_grad(set_to_none=True)
    found: int = counter.get_total_flops()
    return found


def read(net: Any, shape: Shape) -> int:
    """Bytes that `bench.gradients.collect_gradients` takes for a batch: the weights are frozen, and
    the inputs of layers are kept, from which gradients are made one by one."""
    learned = [parameter for parameter in net.parameters() if parameter.requires_grad]
    inputs: list[Any] = []
    handles = [net.get_input_embeddings().register_forward_hook(_begin)]
    for module in net.modules():
        if isinstance(module, nn.Linear):
            handles.append(module.register_forward_pre_hook(lambda _, args: inputs.append(args)))
    net.requires_grad_(False)
    found = trained(net, [shape], "float32", checkpointing=False)
    for parameter in learned:
        parameter.requires_grad_(True)
    for handle in handles:
        handle.remove()
    return found


def _begin(_module: nn.Module, _args: Any, output: Tensor) -> Tensor:
    return output.requires_grad_()


def scored(net: Any, shape: Shape) -> int:
    """Bytes that scoring a batch takes: of answers behind prompts where it has choices, else of
    the tokens themselves."""
    model = _Presumed(net.eval(), "float32")
    with _MODE, torch.no_grad(), Peak() as peak:
        if model.causal and shape.choices > 1:
            prompts = [[0] * (shape.tokens - shape.answer)] * shape.rows
            answers = [[[0] * shape.answer] * shape.choices] * shape.rows
            rows = Encoded([""] * shape.rows, [0] * shape.rows, prompts, answers, [], 0)
            answer_scores(model, rows, range(shape.rows), 0, _CPU)
        else:
            example_losses(model, _batch(model, shape))
    most: int = peak.most
    return most


def written(net: Any, rows: int, tokens: int) -> int:
    """Bytes that the last of so many tokens of so many texts takes, written side by side: keys and
    values of those before it, and a pass of one token."""
    net.eval()
    with _MODE, torch.no_grad(), Peak() as peak:
        ids = torch.zeros(rows, tokens - 1, dtype=torch.long)
        before = net.base_model(input_ids=ids, use_cache=True).past_key_values
        peak.most = 0  # the tokens before it were written one by one
        logits = net(input_ids=ids[:, :1], past_key_values=before, use_cache=True).logits
        logits[:, -1].float().softmax(-1)
    most: int = peak.most
    return most


class _Presumed(TaskModel):
    """A `TaskModel` of a network that cannot be tried out, and is taken for what most are: what is
    behind a token does not change it, and the output layer stands last."""

    def __init__(self, net: Any, precision: str) -> None:
        nn.Module.__init__(self)
        self.net, self.precision, self.scoring = net, precision, "float32"
        self.causal = net.get_output_embeddings() is not None
        self.options = {"use_cache": False} if self.causal else {}
        self.unread = {"attention_mask", "token_type_ids"}
        self.way = Way.SHARED if self.causal else Way.WHOLE


def _batch(model: _Presumed, shape: Shape) -> Batch:
    rows, tokens, answer, choices = shape
    if model.causal:
        return answer_batch([([0] * (tokens - answer + 1), [0] * answer)] * rows, 0)
    size = (rows, choices, tokens) if choices > 1 else (rows, tokens)
    inputs = {"input_ids": torch.zeros(size, dtype=torch.long)}
    return Batch(inputs, None, torch.zeros(rows, dtype=torch.long))
