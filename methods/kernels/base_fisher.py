"""The Fisher diagonal of what the base model knows about text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import texts
from bench.fisher import fisher_diagonal
from bench.likelihood import TaskModel, example_losses
from bench.models import load_language_model

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bench.data import Batch
    from bench.run import Run

_BATCH = 16


def base_fisher(run: Run, sampled: bool, blocks: int) -> dict[str, Tensor]:
    """F at θ0 over `blocks` texts, by name of pretrained parameter, on the run's device; those
    that text does not depend on (a pooler) are left out.

    A text is an example: its log-likelihood is summed over its tokens (masked tokens, on an
    encoder), its gradient squared, and the squares averaged over the texts.
    """
    info = run.cell.model

    def compute() -> dict[str, Tensor]:
        net = load_language_model(info).to(run.device) if info.kind == "encoder" else run.net
        model = TaskModel(net)
        if sampled:

            def report(done: int, of: int) -> None:
                run.progress("sample text for the Fisher", done, of, None)

            text = texts.sampled_blocks(net, run.tokenizer, info, blocks, "fisher", report)
        else:
            given = run.cell.retention.text
            assert given is not None, "the plan has checked that there is a text"
            text = texts.cut_blocks(
                given,
                run.tokenizer,
                blocks * texts.block_length(net),
                scored=False,
                length=texts.block_length(net),
            )
        run.progress("Fisher", 0, 1, None)
        batches = texts.text_batches(text, run.tokenizer, info.kind, _BATCH)

        def losses(_: nn.Module, batch: Batch) -> Tensor:
            return example_losses(model, batch.to(run.device))

        # a checkpoint's pooler is pretrained too, but a masked-LM network has none
        names = run.loaded.base.keys() & {name for name, _ in net.named_parameters()}
        return fisher_diagonal(net, batches, losses, names=names)

    source = "sampled" if sampled else run.cell.retention.hash
    fisher = run.cache.tensors("fisher", [info.hash, info.kind, source, blocks], compute)
    return {name: value.to(run.device) for name, value in fisher.items()}
