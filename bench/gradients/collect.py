"""Exact gradients of single examples, computed from batches and handed on without being kept.

A batch goes forward and backward once. Hooks keep each layer's input and meet the gradient of its
output; the two give the weight gradient of every single example: for a linear layer Dᵀ A over the
example's own tokens, which costs what the ordinary weight gradient costs (Goodfellow 2015,
arXiv 1510.01799; Rochette et al. 2019, arXiv 1912.06015). The parameters are frozen meanwhile, so
autograd skips the ordinary weight gradients. Each gradient is formed in blocks that fit in the
cache, shown to a `Sink`, and overwritten.

A parameter used more than once (tied embeddings, shared layers) is handed on when all its uses
have arrived, because their gradients add up before anything is squared. What has no rule here, or
is used in a way that no rule covers, gets one `autograd.grad` per example, and the log says so.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from bench.gradients.layers import (
    Outer,
    Rows,
    blocks_of,
    kind_of,
    main_input,
    merged,
    spans_of,
    try_norm,
    unit_response,
)

Batch = Any
Losses = Callable[[nn.Module, Batch], Tensor]
log = logging.getLogger(__name__)

# Elements of a block. On a CPU half a MiB stays in the L2 cache while it is formed and used; sizes
# from 2^16 to 2^20 differ by less than a tenth. Elsewhere few large kernels beat many small ones,
# and 128 MiB is little.
CPU_BLOCK = 1 << 17
DEVICE_BLOCK = 1 << 25


class Sink(Protocol):
    """Takes gradients as they come. A parameter counts as a matrix: see `matrix_shape`."""

    def start(self, n: int) -> None:
        """A new batch of `n` examples follows."""

    def dense(self, name: str, first: int, rows: slice, blocks: Iterable[Tensor]) -> None:
        """Take the gradients of example `first` and those after it, in `rows`.

        A block is float32 [examples, rows, columns]; the taker may overwrite it, the next one does.
        """

    def sparse(self, name: str, example: Tensor, row: Tensor, gradient: Tensor) -> None:
        """Take gradients that are zero outside some rows.

        `gradient` [k, columns] is row `row` [k] of example `example` [k]; each pair comes once.
        """


def matrix_shape(parameter: Tensor) -> tuple[int, int]:
    """First dimension by all others, or (1, numel) for a vector or a scalar."""
    rows = parameter.shape[0] if parameter.dim() > 1 else 1
    return rows, parameter.numel() // rows


def collect_gradients(
    model: nn.Module,
    batches: Iterable[Batch],
    losses: Losses,
    parameters: dict[str, nn.Parameter],
    sink: Sink,
) -> None:
    """Show `sink` the gradient of every example's loss with respect to the model's `parameters`.

    The model runs in eval mode; its mode, `requires_grad` and `.grad` are as before afterwards,
    also after an exception. An embedding called with one row for a whole batch (positions) is
    taken to be broadcast over the examples.

    Raises:
        ValueError: losses not of shape [n].
        RuntimeError: a layer's input was changed in place after the layer had read it.
    """
    with _quiet(model):
        collector = _Collector(model, losses, parameters, sink)
        try:
            for batch in batches:
                collector.run(batch)
        finally:
            collector.close()


@contextmanager
def _quiet(model: nn.Module) -> Iterator[None]:
    """Eval mode and frozen parameters without gradients inside; everything as before outside."""
    modes = [(module, module.training) for module in model.modules()]
    states = [(p, p.requires_grad, p.grad) for p in model.parameters()]
    try:
        model.eval()
        for parameter, _, _ in states:
            parameter.requires_grad_(False)
            parameter.grad = None
        yield
    finally:
        for module, training in modes:
            module.training = training
        for parameter, requires_grad, grad in states:
            parameter.requires_grad_(requires_grad)
            parameter.grad = grad


@dataclass
class _Use:
    """One call of a layer, kept until its output's gradient arrives."""

    module: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    version: int  # of the layer's main input
    shape: torch.Size  # of the output
    output: Tensor | None  # kept only until the forward pass is done
    output_version: int


class _Collector:
    """The hooks, and what is on its way in the current batch."""

    def __init__(
        self, model: nn.Module, losses: Losses, parameters: dict[str, nn.Parameter], sink: Sink
    ) -> None:
        self.model, self.losses, self.parameters, self.sink = model, losses, parameters, sink
        self.fast = {id(p): name for name, p in parameters.items()}
        self.slow: dict[str, nn.Parameter] = {}
        self.misfits: dict[str, str] = {}  # name -> why it must become slow
        self.trusted: set[nn.Module] = set()  # layers whose first dimension is the examples
        self.offset: dict[nn.Module, bool] = {}  # norm -> is its output at weight 0 not 0
        self.inside: nn.Module | None = None
        self.armed = False
        self.n = self.lead = 0
        self.uses: list[_Use] = []
        self.expected: defaultdict[str, int] = defaultdict(int)
        self.pieces: defaultdict[str, list[Outer | Rows | Tensor]] = defaultdict(list)
        outer = {model, getattr(model, "base_model", model)}  # a loss may call either
        self.handles = [
            m.register_forward_pre_hook(self._see_lead, with_kwargs=True) for m in outer
        ]
        for module in model.modules():
            self._attach(module)
        self._demote()

    def _attach(self, module: nn.Module) -> None:
        """Hook a layer that has a rule; the parameters of any other layer are misfits."""
        own = {key: p for key, p in module.named_parameters(recurse=False) if id(p) in self.fast}
        if kind_of(module) is None or not own.keys() <= {"weight", "bias"}:
            why = f"no rule for {type(module).__name__}"
            self.misfits |= {self.fast[id(p)]: why for p in own.values()}
        elif own:
            enter = module.register_forward_pre_hook(self._enter)
            record = module.register_forward_hook(self._record, prepend=True, with_kwargs=True)
            self.handles += [enter, record]

    def close(self) -> None:
        """Remove the hooks."""
        for handle in self.handles:
            handle.remove()

    def run(self, batch: Batch) -> None:
        """One batch forward and backward, and all its gradients to the sink."""
        values = self._forward(batch)
        while self.misfits:  # seen in this pass: once more, with autograd for them
            self._demote()
            values = self._forward(batch)
        self.sink.start(self.n)
        if not values.requires_grad:
            return
        self._autograd_each(values)
        if self.expected:
            self.armed = True
            torch.autograd.backward(values, torch.ones_like(values))
            self.armed = False
        for name in list(self.pieces):  # with a use that no loss depends on
            self._flush(name)

    def _forward(self, batch: Batch) -> Tensor:
        """The losses [n]; notes every use of a layer, and the misfits among them."""
        self.uses.clear()
        self.expected.clear()
        with torch.enable_grad(), _Strays(self):
            values = self.losses(self.model, batch)
        if values.dim() != 1:
            raise ValueError(f"losses must have shape [n], not {list(values.shape)}.")
        self.n = n = len(values)
        # two dimensions: always; several rows an example, or another dimension as long: once
        unclear: list[_Use] = []
        for use in self.uses if n > 1 else []:
            if use.shape[0] % n:
                self._misfit(use, f"called on {use.shape[0]} rows for {n} examples")
            elif use.shape[0] == n and len(use.shape) > 2 and n not in use.shape[1:-1]:
                self.trusted.add(use.module)
            elif len(use.shape) == 2 or use.module not in self.trusted:
                unclear.append(use)
        if unclear and not self.misfits:
            self._examine(values, unclear)
        for use in self.uses:
            out, use.output = use.output, None
            if out is not None and out._version != use.output_version and out._is_view():
                self._misfit(use, "'s output is changed in place")  # and loses its hook
        self.uses.clear()
        return values

    def _misfit(self, use: _Use, why: str) -> None:
        for parameter in use.module.parameters(recurse=False):
            if id(parameter) in self.fast:
                self.misfits[self.fast[id(parameter)]] = f"{type(use.module).__name__} {why}"

    def _demote(self) -> None:
        """Leave the misfits to autograd, one backward per example, and say so."""
        for why in sorted(set(self.misfits.values())):
            names = [name for name in self.misfits if self.misfits[name] == why]
            log.warning("%s: one backward per example (slow) for %s", why, ", ".join(names))
        for name in self.misfits:
            parameter = self.parameters[name]
            parameter.requires_grad_()
            self.slow[name] = parameter
            del self.fast[id(parameter)]
        self.misfits.clear()

    def _see_lead(self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        tensors = (a for a in (*args, *kwargs.values()) if isinstance(a, Tensor) and a.dim())
        self.lead = next((len(a) for a in tensors), 0)

    def _enter(self, module: nn.Module, _: tuple[Any, ...]) -> None:
        self.inside = module

    def _record(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], out: Tensor
    ) -> Tensor | None:
        """Forward hook: note the use, and make sure that the output's gradient will come by."""
        self.inside = None
        names = [self.fast[id(p)] for p in module._parameters.values() if id(p) in self.fast]
        if not names or not torch.is_grad_enabled():
            return None
        if not isinstance(out, Tensor):
            why = f"{type(module).__name__} gives no tensor"
            self.misfits |= dict.fromkeys(names, why)
            return None
        source = main_input(args, kwargs)
        if kind_of(module) == "embedding" and source.dim() > 1 and len(source) == 1 < self.lead:
            source, out = (x.expand(self.lead, *x.shape[1:]) for x in (source, out))
            args, kwargs = (source,), {}
        if not out.requires_grad:  # nothing below has a gradient: the graph begins here
            out = out.detach().requires_grad_().clone()  # cloned: leaves bear no in-place change
        use = _Use(module, args, kwargs, source._version, out.shape, out, out._version)
        if kind_of(module) == "norm" and module not in self.offset:
            affine, self.offset[module] = try_norm(module, args, kwargs)
            if not affine:
                self._misfit(use, "is not affine in its weight")
        self.uses.append(use)
        for name in names:
            self.expected[name] += 1
        out.register_hook(partial(self._arrive, use))  # type: ignore[no-untyped-call]
        return out

    def _examine(self, values: Tensor, unclear: list[_Use]) -> None:
        """Does row i (of n equal parts) of these outputs serve example i only, or is their number
        an accident?

        If so, row i of the gradient grows by w_i when the loss of example i does; exactly, since
        the w are powers of two.
        """
        outputs = [use.output for use in unclear if use.output is not None]
        ones = torch.ones_like(values)
        weights = ones * 2.0 ** (torch.arange(self.n, device=ones.device) % 64 - 32)
        grad = partial(torch.autograd.grad, values, outputs, retain_graph=True, allow_unused=True)
        for use, plain, tilted in zip(unclear, grad(ones), grad(weights), strict=True):
            if plain is None:
                continue
            plain, tilted = (x.reshape(self.n, -1) for x in (plain, tilted))
            expected = plain * weights.to(plain.dtype)[:, None]
            off = (tilted - expected).abs().amax(1) > 0.01 * expected.abs().amax(1)
            if bool(off.any()):
                self._misfit(use, "mixes the examples in its first dimension")
            elif len(use.shape) > 2:
                self.trusted.add(use.module)

    def _autograd_each(self, values: Tensor) -> None:
        """The slow parameters: one backward per example through the batch's graph."""
        wanted = list(self.slow.values())
        for e in range(self.n if wanted else 0):
            only = torch.zeros_like(values)
            only[e] = 1
            found = torch.autograd.grad(values, wanted, only, retain_graph=True, allow_unused=True)
            for (name, parameter), grad in zip(self.slow.items(), found, strict=True):
                if grad is not None:
                    shape = matrix_shape(parameter)
                    block = grad.float().reshape(1, *shape)
                    self.sink.dense(name, e, slice(0, shape[0]), [block])

    def _arrive(self, use: _Use, grad: Tensor | None) -> None:
        """Backward hook: turn a use into gradients; hand on the parameters that are complete."""
        if not self.armed or grad is None:
            return
        module, args, kwargs = use.module, use.args, use.kwargs
        use.args, use.kwargs = (), {}  # the graph outlives this hook, the activations need not
        source = main_input(args, kwargs)
        if source._version != use.version:
            kind = type(module).__name__
            raise RuntimeError(f"the input of a {kind} was changed in place after its use.")
        d = self._by_example(grad)
        for key, parameter in module.named_parameters(recurse=False):
            if (name := self.fast.get(id(parameter))) is None:
                continue
            piece: Outer | Rows | Tensor
            match key, kind_of(module):
                case "bias", _:
                    piece = d.sum(1)
                case _, "embedding":
                    piece = self._embedding(module, source, d)
                case _, "norm":
                    response = unit_response(module, args, kwargs, self.offset[module])
                    piece = self._by_example(response).mul_(d).sum(1)
                case _, "conv1d":
                    piece = Outer(self._by_example(source), d, spans_of(d))
                case _:
                    piece = Outer(d, self._by_example(source), spans_of(d))
            self.pieces[name].append(piece)
            if len(self.pieces[name]) == self.expected[name]:
                self._flush(name)

    def _by_example(self, x: Tensor) -> Tensor:
        """[n, ..., H] (any [..., H] of a single example) -> float32 [n, T, H]."""
        return x.detach().reshape(self.n, -1, x.shape[-1]).float()

    def _embedding(self, module: nn.Module, ids: Tensor, d: Tensor) -> Rows:
        ids = ids.reshape(self.n, -1)
        assert isinstance(module, nn.Embedding)
        if module.padding_idx is not None:  # autograd leaves this row out, and so do we
            d = d.masked_fill((ids == module.padding_idx)[..., None], 0)
        return Rows(ids, d)

    def _flush(self, name: str) -> None:
        """Add up a parameter's uses and hand the sum on."""
        pieces = self.pieces.pop(name)
        rows, columns = matrix_shape(self.parameters[name])
        outers = [piece for piece in pieces if isinstance(piece, Outer)]
        scattered = [piece for piece in pieces if isinstance(piece, Rows)]
        added = merged(scattered, rows) if scattered else None
        if outers:
            size = CPU_BLOCK if self.parameters[name].device.type == "cpu" else DEVICE_BLOCK
            height = min(rows, max(1, size // columns))
            together = size // (rows * columns)
            step = together if together >= 8 else 1
            chunks = [slice(e, min(e + step, self.n)) for e in range(0, self.n, step)]
            factors = [outer.factors(chunks) for outer in outers]
            for top in range(0, rows, height):
                part = slice(top, min(top + height, rows))
                self.sink.dense(name, 0, part, blocks_of(chunks, factors, added, part, rows))
        elif added is not None:
            keys, values = added
            self.sink.sparse(name, keys // rows, keys % rows, values)
        else:
            block = torch.stack([piece for piece in pieces if isinstance(piece, Tensor)]).sum(0)
            self.sink.dense(name, 0, slice(0, rows), [block[:, None]])


class _Strays(TorchFunctionMode):
    """Notices parameters that are used outside their own layer's call: no hook sees those uses."""

    def __init__(self, collector: _Collector) -> None:
        super().__init__()
        self.collector = collector

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        collector = self.collector
        reads = isinstance(result, (Tensor, tuple, list)) and not isinstance(result, torch.Size)
        if reads and collector.inside is None and torch.is_grad_enabled():
            for arg in (*args, *(kwargs or {}).values()):
                for item in arg if isinstance(arg, (tuple, list)) else (arg,):
                    if name := collector.fast.get(id(item)):
                        collector.misfits[name] = "used outside its layer"
        return result
