"""One cell of a family, each of its numbers against a slow loop: one text, one call of the network.

`python -m tests.helpers.family_check > docs/models.md` checks all families.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from torch import Tensor
from torch.nn.functional import cross_entropy

from bench.core.errors import BenchError, CellError
from bench.gradients.fisher import fisher_diagonal
from bench.network import running_text
from bench.network.batches import IGNORE, Batch, Encoded, collate
from bench.network.generation import greedy
from bench.network.likelihood import example_losses
from bench.network.limits import context_length
from bench.network.loading import load_language_model
from bench.planning.model_info import describe
from bench.running.session import CellSession
from bench.scoring.evaluation import backbone_into, score_rows
from bench.selfcheck.world import World, only_cell, plan_for, workspace_for, write_world
from bench.training.loop import train
from tests.helpers.tiny_families import CONTEXT, KINDS, Kind, families, is_masked, tiny

ROWS, TOKENS = 8, 6
CLOSE = 1e-3  # nats or logits; of the largest value where it is importance


def outcome(family: str, kind: Kind, world: World, folder: Path) -> str:
    """`works` and which way, `refused`, `fails` or `not built` and why; `WRONG` and how far."""
    base = world.models[kind]
    tokenizer = hf.AutoTokenizer.from_pretrained(base)
    try:
        tiny(family, kind, tokenizer).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    except Exception as error:
        return f"not built: {_reason(error)}"
    try:
        text = kind == "causal" or is_masked(family)
        given = {"kind": kind, "retention": str(world.text) if text else None}
        plan = plan_for(["finetune"], ["rte"], folder, world.data, "train.steps=2", **given)
        cell, workspace = only_cell(plan), workspace_for(plan, folder / "run")
        words = workspace.tokenizer(
            describe(str(base))
        )  # not what a family's own class makes of it
        workspace.tokenizers[cell.model.source] = words
        stage = CellSession(cell, workspace)
        refusals: list[str] = []
        off = _distances(stage, refusals)
    except (BenchError, CellError) as error:
        return f"refused: {_reason(error)}".replace(str(folder), family)
    except Exception as error:
        return f"fails: {_reason(error)}"
    wrong = [f"{what} by {value:.2g}" for what, value in off.items() if not value <= CLOSE]
    way = stage.run.task_model.ways["score"]
    lacks = "".join(f"; no {refusal}" for refusal in refusals)
    return f"WRONG: {', '.join(wrong)} ({way})" if wrong else f"works ({way}){lacks}"


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    name = "" if isinstance(error, BenchError | CellError) else f"{type(error).__name__}: "
    return f"{name}{text}".replace("|", "/")[:240]


def _distances(stage: CellSession, refusals: list[str]) -> dict[str, float]:
    """The largest difference to the slow loop of all that is computed; what cannot be is noted."""
    order = sorted(range(len(stage.dev["dev"])), key=stage.dev["dev"].length)
    rows = _only(stage.dev["dev"], order[:: max(1, len(order) // ROWS)][:ROWS])
    off = {f"{what} before": value for what, value in _read(stage, rows).items()}
    off["losses"] = _losses(stage, rows)
    for what, check in (("a row as long as the context", _longest), ("Fisher", _fisher)):
        try:
            off[what] = check(stage)
        except Exception as error:
            refusals.append(f"{what}: {_reason(error)}")
    train(stage.run, stage.method, None)
    off |= {f"{what} after": value for what, value in _read(stage, rows).items()}
    if stage.cell.model.kind == "causal":
        off["greedy text"] = float(_differ(stage, rows.prompts))
    return off


def _only(rows: Encoded, chosen: list[int]) -> Encoded:
    def of(values: list[Any]) -> list[Any]:
        return [values[i] for i in chosen] if values else []

    lists = (rows.ids, rows.gold, rows.prompts, rows.answers, rows.types)
    return Encoded(*map(of, lists), truncated=0, references=of(rows.references))


def _logits(stage: CellSession, net: Any, **inputs: list[int]) -> Tensor:
    net.eval()
    row: dict[str, Any] = {name: torch.tensor([value]) for name, value in inputs.items()}
    if torch.is_grad_enabled():  # some write to their cache in place
        row |= stage.run.task_model.options
    logits: Tensor = net(**row).logits[0].float()
    return logits


def _scores(stage: CellSession, rows: Encoded, i: int) -> Tensor:
    """[answers] of a row: log-likelihoods, or the logits of a head."""
    net = stage.run.net
    if not rows.answers:
        types = getattr(net.config.get_text_config(), "type_vocab_size", 0)
        reads = (types or 0) > 1 or net.config.model_type in ("funnel", "xlnet")
        given = {"token_type_ids": rows.types[i]} if reads else {}
        return _logits(stage, net, input_ids=rows.prompts[i], **given)
    found = []
    for answer in rows.answers[i]:
        likely = _logits(stage, net, input_ids=rows.prompts[i] + answer).log_softmax(-1)
        start = len(rows.prompts[i]) - 1
        found.append(torch.stack([likely[start + k, t] for k, t in enumerate(answer)]).sum())
    return torch.stack(found)


def _loss(stage: CellSession, rows: Encoded, i: int) -> Tensor:
    scores = _scores(stage, rows, i)
    if rows.answers:
        return -scores[rows.gold[i]]
    return cross_entropy(scores[None], torch.tensor([rows.references[i]]))


@torch.no_grad()
def _read(stage: CellSession, rows: Encoded) -> dict[str, float]:
    """Of the scores of rows, and of the mean loss on running text."""
    run = stage.run
    pad = stage.tokenizer.pad_token_id
    given = torch.tensor(score_rows(run.task_model, rows, pad, run.accelerator))
    own = torch.stack([_scores(stage, rows, i) for i in range(len(rows))])
    off = {"scores": float((given - own).abs().max())}
    found = stage.measuring.retention(base=False)
    if found is None:
        return off
    net, kind = run.net, stage.cell.model.kind
    if kind == "encoder":
        net = load_language_model(stage.cell.model)
        backbone_into(net, stage.loaded)
    blocks = stage.measuring.retention_blocks()
    assert blocks is not None
    total = 0.0
    for batch in running_text.text_batches(blocks, stage.tokenizer, kind):
        total += sum(_text_loss(stage, net, batch, i) for i in range(len(batch)))
    return off | {"text": abs(total / sum(found.tokens) - found.loss)}


def _text_loss(stage: CellSession, net: Any, batch: Batch, i: int) -> float:
    length = int(batch.inputs["attention_mask"][i].sum())
    logits = _logits(stage, net, input_ids=batch.inputs["input_ids"][i, :length].tolist())
    assert batch.positions is not None
    pairs = zip(batch.positions[i].tolist(), batch.targets[i].tolist(), strict=True)
    return sum(-float(logits.log_softmax(-1)[at, t]) for at, t in pairs if t != IGNORE)


@torch.no_grad()
def _losses(stage: CellSession, rows: Encoded) -> float:
    """Of the losses that training is on."""
    run = stage.run
    run.net.eval()
    batch = collate(rows, range(len(rows)), stage.tokenizer.pad_token_id)
    own = torch.stack([_loss(stage, rows, i).view(()) for i in range(len(rows))])
    return float((example_losses(run.task_model, batch) - own).abs().max())


@torch.no_grad()
def _longest(stage: CellSession) -> float:
    """Whether a row as long as the context can be read at all: 0, or an error."""
    tokens = min(context_length(stage.run.net), 2 * CONTEXT)
    row = (stage.run.train_rows.prompts[0] * tokens)[:tokens]
    _logits(stage, stage.run.net, input_ids=row)
    return 0.0


def _fisher(stage: CellSession) -> float:
    """Of the mean of squared gradients, one row's loss at a time, to the largest of them."""
    run, count = stage.run, 4
    found = fisher_diagonal(run.net, run.batches(list(range(count)), count), run.example_losses)
    wanted = {name: torch.zeros_like(p) for name, p in run.net.named_parameters()}
    for i in range(count):
        run.net.zero_grad()
        _loss(stage, run.train_rows, i).backward()
        for name, parameter in run.net.named_parameters():
            if parameter.grad is not None:
                wanted[name] += parameter.grad.square() / count
    run.net.zero_grad()
    largest = max(float(value.max()) for value in wanted.values())
    return max(float((found[n] - wanted[n]).abs().max()) for n in found) / largest


@torch.no_grad()
def _differ(stage: CellSession, prompts: list[list[int]]) -> bool:
    """Whether text differs from that of a loop, where two tokens are not equally likely."""
    net = stage.run.net
    written = greedy(net, stage.tokenizer, prompts, max_new_tokens=TOKENS)
    for prompt, tokens in zip(prompts, written, strict=True):
        for k in range(TOKENS):
            likely = _logits(stage, net, input_ids=prompt + tokens[:k])[-1]
            token = tokens[k] if k < len(tokens) else stage.tokenizer.eos_token_id
            if float(likely.max() - likely[token]) > CLOSE:
                return True
            if k >= len(tokens):
                break
    return False


PAGE = """# Models

What each family of transformers {version} comes to, as a causal LM (`--as causal`) and as an
encoder with a head (`--as encoder`): a tiny random model of it is fine-tuned for two steps, and all
that is computed of it is held against a slow loop (one text, one call of the network, no padding,
no cache) to {close} nats: scores of {rows} rows of unlike length and the loss on running text,
before and after; the losses that training is on; the Fisher diagonal; greedy text against step by
step. `tests/bench/network/test_families.py` does it again; `python -m tests.helpers.family_check`
writes this page.

How a family's texts are read is asked of every model and its rows before they are scored, not of
this table. From the fastest way to the slowest:

* shared: a prompt's keys and values are computed once for all its answers. Not where a window, as
  the configuration has it, is shorter than the longest row.
* picked: the output layer is applied only where an answer token is predicted.
* whole: texts stand side by side, padded.
* alone: one text at a time.

"Not built" says why no tiny model came of a small configuration (a family of images or sounds has
parts that stay big, say); such a family is not known to work or to fail.

{counts}.

| Family | as a causal LM | as an encoder |
|---|---|---|
"""


def recorded(page: str) -> dict[tuple[str, str], str]:
    """(family, kind) -> its outcome on a page like PAGE."""
    rows = re.findall(r"^\| (\S+) \| (.*) \| (.*) \|$", page, re.MULTILINE)
    return {
        (family, kind): outcome
        for family, *outcomes in rows
        for kind, outcome in zip(KINDS, outcomes, strict=True)
    }


def main() -> None:
    """Print the page."""
    with tempfile.TemporaryDirectory() as temporary:
        world = write_world(Path(temporary) / "world")
        found = {
            (family, kind): outcome(family, kind, world, Path(temporary) / kind / family)
            for kind in KINDS
            for family in families(kind)
        }
    counts = Counter(re.split(r" \(|:", value)[0] for value in found.values())
    said = ", ".join(f"{name} {count}" for name, count in counts.most_common())
    facts = {"version": hf.__version__, "close": CLOSE, "rows": ROWS, "counts": f"In all: {said}"}
    print(PAGE.format(**facts), end="")
    for family in sorted({family for family, _ in found}):
        print(f"| {family} |", *(f"{found.get((family, kind), '-')} |" for kind in KINDS))


if __name__ == "__main__":
    main()
