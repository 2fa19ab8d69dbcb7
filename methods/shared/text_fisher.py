"""What the base model knows about text, weight by weight: Fisher diagonal and sensitivity."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bench.gradients.fisher import fisher_diagonal, mean_absolute_gradient
from bench.network import running_text
from bench.network.batches import IGNORE
from bench.network.likelihood import TaskModel, Way, example_losses
from bench.network.loading import load_language_model

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bench.network.batches import Batch
    from bench.training.context import TrainingContext

_BATCH = 16


def base_fisher(run: TrainingContext, sampled: bool, blocks: int) -> dict[str, Tensor]:
    """F at θ0 over `blocks` texts, by name of pretrained parameter, on the run's device; those
    that text does not depend on (a pooler) are left out.

    A text is an example: its log-likelihood is summed over its tokens (masked tokens, on an
    encoder), its gradient squared, and the squares averaged over the texts.
    """
    return _over_text(run, sampled, blocks, "fisher", example_losses, fisher_diagonal)


def base_sensitivity(run: TrainingContext, sampled: bool, blocks: int) -> dict[str, Tensor]:
    """Mean |∂‖f(x)‖²/∂θ| at θ0, over the same texts; f(x) are the logits of the whole vocabulary
    at all places of the text x where `base_fisher` looks at one token's."""
    return _over_text(run, sampled, blocks, "sensitivity", _output_norms, mean_absolute_gradient)


def _output_norms(model: TaskModel, batch: Batch) -> Tensor:
    """‖f(x)‖² of each example, [n]."""
    squares = model(batch.inputs, batch.positions).float().square().sum(-1)
    norms: Tensor = squares.masked_fill(batch.targets == IGNORE, 0).sum(1)
    return norms


def _over_text(
    run: TrainingContext,
    sampled: bool,
    blocks: int,
    kind: str,
    values: Callable[[TaskModel, Batch], Tensor],
    mean: Callable[..., dict[str, Tensor]],
) -> dict[str, Tensor]:
    """The `mean` of what becomes of the gradients of `values` over texts; kept as `kind`."""
    info = run.cell.model

    def compute() -> dict[str, Tensor]:
        net, held = run.net, run.cell.training.weights
        if info.kind == "encoder":
            net = load_language_model(info, held).to(run.device)
        model = TaskModel(net, scoring=run.cell.training.scoring)
        if sampled:

            def report(done: int, of: int) -> None:
                run.progress(f"sample text for the {kind}", done, of, None)

            text = run.cache.json(
                "sampled-text",
                [run.cell.base_hash, info.kind, blocks],
                lambda: running_text.sampled_blocks(
                    net, run.tokenizer, info, blocks, "fisher", report
                ),
            )
        else:
            given = run.retention
            assert given is not None, "the plan has checked that there is a text"
            text = running_text.cut_blocks(
                given,
                run.tokenizer,
                blocks * running_text.block_length(net),
                scored=False,
                kind=info.kind,
                length=running_text.block_length(net),
            )
        run.progress(kind, 0, 1, None)
        batches = running_text.text_batches(text, run.tokenizer, info.kind, _BATCH)
        probe = running_text.unlike_texts(batches[0]).to(run.device)
        model.settle("text", lambda: example_losses(model, probe))
        if model.way is Way.ALONE:
            batches = running_text.text_batches(text, run.tokenizer, info.kind, 1)

        def losses(_: nn.Module, batch: Batch) -> Tensor:
            return values(model, batch.to(run.device))

        # a checkpoint's pooler is pretrained too, but a masked-LM network has none
        names = run.loaded.base.keys() & {name for name, _ in net.named_parameters()}
        return mean(net, batches, losses, names=names)

    source = "sampled" if sampled else run.cell.retention.hash
    found = run.cache.tensors(kind, [run.cell.base_hash, info.kind, source, blocks], compute)
    return {name: value.to(run.device) for name, value in found.items()}
