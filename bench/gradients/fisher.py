"""Fisher diagonals, sensitivities and forgetting confidence from exact per-example gradients.

All are sums over the squares (magnitudes, products) of single examples' gradients, which
`gradients` computes batch by batch and never keeps; see there for how, and for what is asked of
the model.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from bench.gradients.collect import Batch, Losses, collect_gradients, matrix_shape


def fisher_diagonal(
    model: nn.Module,
    batches: Iterable[Batch],
    losses: Losses,
    names: Collection[str] | None = None,
) -> dict[str, Tensor]:
    """F_i = mean over all examples of the squared gradient of the example's own loss.

    Not the squared gradient of a batch's mean, which is another, smaller number (van de Ven 2025,
    arXiv 2502.11756). Whether it is the true or the empirical Fisher depends on where the labels
    in `batches` come from. The float32 sum runs within a batch first and over batches then.

    Args:
        losses: (model, batch) -> losses [n], one per example, that do not depend on each other.
        names: parameters wanted, as in `model.named_parameters()` (a tied weight has one name);
            all floating-point ones by default.

    Returns:
        name -> float32 tensor of the parameter's shape; zero where no loss depends on it.

    Raises:
        ValueError: no example, no or unknown names, or losses of another shape.
        RuntimeError: see `collect_gradients`.
    """
    return _mean(model, batches, losses, names, _Squares)


def mean_absolute_gradient(
    model: nn.Module,
    batches: Iterable[Batch],
    losses: Losses,
    names: Collection[str] | None = None,
) -> dict[str, Tensor]:
    """Ω_i = mean over all examples of the absolute gradient of the example's own loss.

    With ‖f(x)‖² for a loss it is the importance of memory-aware synapses (Aljundi et al. 2018,
    arXiv 1711.09601). Arguments, result and errors are those of `fisher_diagonal`.
    """
    return _mean(model, batches, losses, names, _Magnitudes)


def _mean(
    model: nn.Module,
    batches: Iterable[Batch],
    losses: Losses,
    names: Collection[str] | None,
    sums: type[_Squares],
) -> dict[str, Tensor]:
    parameters = _select(model, names)
    found = sums(parameters)
    collect_gradients(model, batches, losses, parameters, found)
    if found.count == 0:
        raise ValueError("a mean over examples needs at least one example.")
    return {
        name: found.total[name].div_(found.count).view(parameter.shape)
        for name, parameter in parameters.items()
    }


def class_fisher(
    model: nn.Module,
    batches: Sequence[Batch],
    logits: Losses,
    draw: torch.Generator | None = None,
    names: Collection[str] | None = None,
) -> dict[str, Tensor]:
    """The true Fisher of a classifier: labels come from the model itself, not from the data.

    With `draw` one label per example is drawn from the model's distribution, at the cost of the
    empirical Fisher. Without it the expectation over the C labels is exact, Σ_c p_c g_c², in C
    passes: the gradient of √p_c · (−log p_c), with p_c held fixed, is √p_c g_c.

    Args:
        logits: (model, batch) -> [n, C].

    Returns, raises: as `fisher_diagonal`.
    """

    def drawn(model: nn.Module, batch: Batch) -> Tensor:
        found = logits(model, batch).float()
        labels = torch.multinomial(found.detach().softmax(-1), 1, generator=draw)[:, 0]
        return cross_entropy(found, labels, reduction="none")

    def weighted(label: int, model: nn.Module, batch: Batch) -> Tensor:
        log_p = logits(model, batch).float().log_softmax(-1)[:, label]
        return -log_p * (0.5 * log_p.detach()).exp()

    if draw is not None:
        return fisher_diagonal(model, batches, drawn, names)
    with torch.no_grad():
        classes = logits(model, batches[0]).shape[-1] if batches else 0
    total: dict[str, Tensor] = {}
    for label in range(classes):
        for name, value in fisher_diagonal(model, batches, partial(weighted, label), names).items():
            total[name] = total[name].add_(value) if name in total else value
    if not total:
        raise ValueError("a Fisher diagonal needs at least one example.")
    return total


@dataclass(frozen=True)
class Confidence:
    """Forgetting confidence of N examples in its parts, with d = θ0 − θ*; any α may be put in."""

    constant: float  # ½ Σ F d²
    linear: Tensor  # −Σ F d g, float64 [N]
    square: Tensor  # Σ F g², float64 [N]
    alpha: float

    @property
    def score(self) -> Tensor:
        """What ranks as FC does, float64 [N]: its slope in α, with α = 0 its limit for α → 0."""
        return self.linear + 0.5 * self.alpha * self.square

    @property
    def change(self) -> Tensor:
        """FC less its common part, float64 [N]."""
        return self.alpha * self.score

    @property
    def value(self) -> Tensor:
        """FC, float64 [N]."""
        return self.constant + self.change


@torch.no_grad()
def forgetting_confidence(
    model: nn.Module,
    batches: Iterable[Batch],
    losses: Losses,
    fisher: dict[str, Tensor],
    theta_star: dict[str, Tensor],
    alpha: float,
) -> Confidence:
    """FC(x) = ½ Σ_i F_i (θ0_i − α g_i(x) − θ*_i)² for every example x, in the order of `batches`.

    Jiang et al. 2025 (arXiv 2505.19715). θ0 is what `model` holds, g(x) the gradient of x's loss
    there, and the sum runs over the parameters in `fisher`. With d = θ0 − θ* it is expanded to
    ½ Σ F d² − α Σ F d g + ½ α² Σ F g², so that small differences between examples do not drown in
    the first term, and summed in float64 over blocks that are dot products in float32.

    Raises:
        ValueError: a name in `fisher` that the model or `theta_star` lacks; as `fisher_diagonal`.
    """
    parameters = _select(model, fisher)
    if missing := fisher.keys() - theta_star.keys():
        raise ValueError(f"theta_star lacks {sorted(missing)}.")
    constant, weights, cross = 0.0, {}, {}
    for name, parameter in parameters.items():
        weight = fisher[name].to(parameter.device, torch.float32)
        d = parameter.detach().float() - theta_star[name].to(parameter.device, torch.float32)
        pull = weight * d
        constant += 0.5 * float((pull * d).sum(dtype=torch.float64))
        shape = matrix_shape(parameter)
        weights[name] = weight.reshape(shape)
        cross[name] = pull.neg_().reshape(shape)
    sums = _Products(weights, cross)
    collect_gradients(model, batches, losses, parameters, sums)
    linear, square = torch.cat(sums.found or [torch.zeros(2, 0, dtype=torch.float64)], 1)
    return Confidence(constant, linear, square, alpha)


def _select(model: nn.Module, names: Collection[str] | None) -> dict[str, nn.Parameter]:
    """The parameters called `names`, in the model's order."""
    parameters = {k: p for k, p in model.named_parameters() if p.is_floating_point()}
    wanted = set(parameters if names is None else names)
    if unknown := wanted - parameters.keys():
        raise ValueError(f"not floating-point parameters of the model: {sorted(unknown)}.")
    if not wanted:
        raise ValueError("no parameters to take gradients of.")
    return {name: p for name, p in parameters.items() if name in wanted}


class _Squares:
    """Sums of squared gradients: a `Sink`."""

    def __init__(self, parameters: dict[str, nn.Parameter]) -> None:
        self.count = 0
        self.total = {
            name: torch.zeros(matrix_shape(p), dtype=torch.float32, device=p.device)
            for name, p in parameters.items()
        }

    def start(self, n: int) -> None:
        self.count += n

    def dense(self, name: str, first: int, rows: slice, blocks: Iterable[Tensor]) -> None:
        total = self.total[name][None, rows]
        part = torch.zeros_like(total)
        for g in blocks:
            if g.shape[0] == 1:  # one pass over memory instead of three
                part.addcmul_(g, g)
            else:
                part.add_(g.square_().sum(0, keepdim=True))
        total.add_(part)

    def sparse(self, name: str, example: Tensor, row: Tensor, gradient: Tensor) -> None:
        self.total[name].index_add_(0, row, gradient.square())


class _Magnitudes(_Squares):
    """Sums of absolute gradients: a `Sink`."""

    def dense(self, name: str, first: int, rows: slice, blocks: Iterable[Tensor]) -> None:
        for g in blocks:
            self.total[name][rows].add_(g.abs_().sum(0))

    def sparse(self, name: str, example: Tensor, row: Tensor, gradient: Tensor) -> None:
        self.total[name].index_add_(0, row, gradient.abs())


class _Products:
    """Σ_i cross_i g_i and Σ_i F_i g_i² of every example, cross = −F d: a `Sink`."""

    def __init__(self, fisher: dict[str, Tensor], cross: dict[str, Tensor]) -> None:
        self.fisher, self.cross = fisher, cross
        self.found: list[Tensor] = []  # float64 [2, n] per batch

    def start(self, n: int) -> None:
        device = next(iter(self.cross.values())).device
        self.found.append(torch.zeros(2, n, dtype=torch.float64, device=device))

    def dense(self, name: str, first: int, rows: slice, blocks: Iterable[Tensor]) -> None:
        fisher, cross = self.fisher[name][rows].flatten(), self.cross[name][rows].flatten()
        linear, square = [], []
        for block in blocks:
            g = block.flatten(1)
            linear.append(torch.mv(g, cross))
            square.append(torch.mv(g.square_(), fisher))
        both = torch.stack([torch.cat(linear), torch.cat(square)])
        self.found[-1][:, first : first + both.shape[1]] += both

    def sparse(self, name: str, example: Tensor, row: Tensor, gradient: Tensor) -> None:
        linear = (self.cross[name][row] * gradient).sum(1)
        square = (self.fisher[name][row] * gradient).mul_(gradient).sum(1)
        self.found[-1].index_add_(1, example, torch.stack([linear, square]).double())
