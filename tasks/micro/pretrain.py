"""Makes the embedded checkpoints: `python -m tasks.micro.pretrain [--model NAME] [--out DIR]`.

`micro` and `micro-clean` are the same Llama trained on the same documents, with and without the
planted conflict; `micro-encoder` and `micro-encoder-clean` are a ModernBERT, trained so on text and
on the tasks' inputs.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import itertools
import json
import math
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from tasks.micro import encoder
from tasks.micro.rows import GENERATOR_VERSION
from tasks.micro.source import MicroWorld
from tasks.micro.text import CONFLICT_SHARE, Document, documents

B = TypeVar("B")
BOS, EOS, PAD, MASK = "<s>", "</s>", "<pad>", "<mask>"


@dataclass(frozen=True)
class Recipe:
    """How one checkpoint is trained: a causal LM on text, then on questions; an encoder on text
    and, at every step, on `question_batch` inputs of tasks."""

    conflict: bool
    encoder: bool = False
    documents: int = 330_000
    tokens: int = 5_300_000
    question_steps: int = 2400
    question_batch: int = 24
    question_lr: float = 1e-3
    vocabulary: int = 1800
    length: int = 128
    batch_size: int = 8
    lr: float = 2e-3
    answer_weight: float = 10.0  # of an answer to a task's question, in the loss
    warmup: float = 0.03
    weight_decay: float = 0.05
    masked: float = 0.2  # of an encoder's tokens
    seed: int = 1


ENCODER = Recipe(
    conflict=True,
    encoder=True,
    documents=400_000,
    tokens=6_144_000,
    question_steps=0,
    question_batch=48,
    batch_size=4,
    answer_weight=1.0,
)
RECIPES = {
    "micro": Recipe(conflict=True),
    "micro-clean": Recipe(conflict=False),
    "micro-encoder": ENCODER,
    "micro-encoder-clean": replace(ENCODER, conflict=False),
}


def data_hash(recipe: Recipe) -> str:
    """A sha256 of the whole pretraining text, in order, and of an encoder's first 10,000 inputs."""
    total = hashlib.sha256()
    for document in documents(recipe.documents, conflict=recipe.conflict):
        total.update(document.text.encode() + b"\0")
    for document in question_documents(recipe):
        total.update(document.text.encode() + b"\0")
    asked = encoder.inputs(conflict=recipe.conflict)
    for one in itertools.islice(asked, 10_000 * recipe.encoder):
        total.update("\0".join((*one.texts, one.word, "")).encode())
    return total.hexdigest()


def make_tokenizer(recipe: Recipe) -> Any:
    """A byte-level BPE, the same for all checkpoints; only the special tokens' places differ."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(False)]
    )
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=recipe.vocabulary,
        special_tokens=[BOS, EOS, PAD, MASK],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = (d.text for conflict in (False, True) for d in documents(30_000, conflict=conflict))
    raw.train_from_iterator(texts, trainer)
    ends = [(BOS, raw.token_to_id(BOS)), (EOS, raw.token_to_id(EOS))]
    single, double = (f"{BOS} $A", f"{BOS} $A $B")
    if recipe.encoder:
        single, double = f"{BOS} $A {EOS}", f"{BOS} $A {EOS} $B {EOS}"
    raw.post_processor = processors.TemplateProcessing(
        single=single, pair=double, special_tokens=ends
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        cls_token=BOS,
        sep_token=EOS,
        mask_token=MASK,
        model_input_names=["input_ids", "attention_mask"],
        model_max_length=recipe.length,
        clean_up_tokenization_spaces=False,
    )


def make_model(recipe: Recipe, tokenizer: Any) -> Any:
    """A Llama, or a ModernBERT, of about a million parameters."""
    from transformers import (
        LlamaConfig,
        LlamaForCausalLM,
        ModernBertConfig,
        ModernBertForMaskedLM,
    )

    torch.manual_seed(recipe.seed)
    common: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": 128,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "max_position_embeddings": recipe.length,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "tie_word_embeddings": True,
    }
    if recipe.encoder:
        common |= {"cls_token_id": tokenizer.cls_token_id, "sep_token_id": tokenizer.sep_token_id}
        common |= {"global_attn_every_n_layers": 1}  # in every layer all of a row
        return ModernBertForMaskedLM(ModernBertConfig(intermediate_size=256, **common))
    return LlamaForCausalLM(LlamaConfig(intermediate_size=344, num_key_value_heads=4, **common))


def pack(recipe: Recipe, tokenizer: Any) -> tuple[Tensor, Tensor]:
    """The first tokens of all documents one after the other, in rows of `recipe.length`.

    Beside them, each token's share of an answer to a task's question (see `tokenised`).
    """
    made = documents(recipe.documents, conflict=recipe.conflict)
    tokens: list[int] = []
    shares: list[float] = []
    while len(tokens) < recipe.tokens and (part := list(itertools.islice(made, 10_000))):
        for ids, share in tokenised(recipe, tokenizer, part):
            tokens += ids
            shares += share
    usable = min(len(tokens), recipe.tokens) // recipe.length * recipe.length
    shape = (-1, recipe.length)
    return torch.tensor(tokens[:usable]).view(shape), torch.tensor(shares[:usable]).view(shape)


def tokenised(
    recipe: Recipe, tokenizer: Any, made: list[Document]
) -> Iterator[tuple[list[int], list[float]]]:
    """Each document's tokens with the end token, and their shares of its answer.

    A token of an answer of n tokens has the share 1/n, any other 0: answers weigh alike.
    """
    rows = tokenizer([d.text for d in made])["input_ids"]
    answers = tokenizer([f" {d.answer}" for d in made], add_special_tokens=False)["input_ids"]
    end = [] if recipe.encoder else [tokenizer.eos_token_id]
    for document, ids, answer in zip(made, rows, answers, strict=True):
        row = ids + end
        share = [0.0] * len(row)
        if document.answer:
            assert row[-1 - len(answer) : -1] == answer
            share[-1 - len(answer) : -1] = [1 / len(answer)] * len(answer)
        yield row, share


def question_documents(recipe: Recipe) -> list[Document]:
    """The text of the last stage: other questions, and one in four of the other documents."""
    count = recipe.question_steps * recipe.question_batch
    made = documents(3 * count, conflict=recipe.conflict, seed="questions")
    chosen = (d for number, d in enumerate(made) if d.kind == "judged" or number % 4 == 0)
    return list(itertools.islice(chosen, count))


def pad(recipe: Recipe, tokenizer: Any, made: list[Document]) -> tuple[Tensor, Tensor]:
    """Each document in a row of its own, as prompts stand in the tasks; see `pack`."""
    rows = list(tokenised(recipe, tokenizer, made))
    tokens = torch.full((len(rows), max(len(row) for row, _ in rows)), tokenizer.pad_token_id)
    shares = torch.zeros(tokens.shape)
    for number, (row, share) in enumerate(rows):
        tokens[number, : len(row)] = torch.tensor(row)
        shares[number, : len(row)] = torch.tensor(share)
    return tokens, shares


def batches(recipe: Recipe, packed: tuple[Tensor, Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of tokens and their shares of an answer, shuffled."""
    tokens, shares = packed
    order = torch.randperm(len(tokens), generator=torch.Generator().manual_seed(recipe.seed))
    for start in range(0, len(tokens) - recipe.batch_size + 1, recipe.batch_size):
        chosen = order[start : start + recipe.batch_size]
        yield tokens[chosen], shares[chosen]


def losses_of(
    recipe: Recipe, model: Any, tokenizer: Any, batch: tuple[Tensor, Tensor]
) -> tuple[Tensor, float]:
    """The weighted mean loss over the batch's tokens, and the mean loss of the answers alone."""
    tokens, shares = batch
    logits = model(input_ids=tokens).logits[:, :-1]
    tokens, shares = tokens[:, 1:], shares[:, 1:]
    chosen = tokens != tokenizer.pad_token_id
    loss = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), tokens.flatten(), reduction="none"
    ).view(tokens.shape)
    weight = chosen * (shares * recipe.answer_weight).clamp(min=1.0)
    return (loss * weight).sum() / weight.sum(), float(loss.detach()[shares > 0].mean())


def train_causal(recipe: Recipe, model: Any, tokenizer: Any) -> tuple[int, float, float]:
    """Text, then questions and answers; the steps on text, and the mean loss at each end."""

    def stage(recipe: Recipe, rows: tuple[Tensor, Tensor]) -> tuple[int, float]:
        total = len(rows[0]) // recipe.batch_size
        losses = partial(losses_of, recipe, model, tokenizer)
        return total, train(recipe, model, batches(recipe, rows), total, losses)[0]

    steps, loss = stage(recipe, pack(recipe, tokenizer))
    size, rate = recipe.question_batch, recipe.question_lr
    last = replace(recipe, batch_size=size, lr=rate, answer_weight=100.0)
    return steps, loss, stage(last, pad(recipe, tokenizer, question_documents(recipe)))[1]


def train_encoder(recipe: Recipe, model: Any, tokenizer: Any) -> tuple[int, float, float]:
    """Text and inputs of tasks together; the steps, and the mean losses of all and of answers."""
    rows = pack(recipe, tokenizer)
    total = len(rows[0]) // recipe.batch_size
    asked = encoder.inputs(conflict=recipe.conflict)
    made = zip(
        (tokens for tokens, _ in batches(recipe, rows)),
        encoder.batches(asked, tokenizer, recipe.question_batch),
        strict=False,  # inputs have no end
    )
    losses = partial(encoder.losses_of, recipe.masked, recipe.answer_weight, model, tokenizer)
    return total, *train(recipe, model, made, total, losses)


def train(
    recipe: Recipe,
    model: Any,
    made: Iterable[B],
    total: int,
    losses: Callable[[B], tuple[Tensor, float]],
) -> tuple[float, float]:
    """Train in place on `total` batches; the mean loss of the last 50, and of the answers in it."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(
        groups, lr=recipe.lr, betas=(0.9, 0.98), weight_decay=recipe.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: _rate(s, total, recipe))
    recent: collections.deque[tuple[float, float]] = collections.deque(maxlen=50)
    began = time.monotonic()
    for step, batch in enumerate(made, start=1):
        loss, of_answers = losses(batch)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        recent.append((loss.item(), of_answers))
        if step % 50 == 0 or step == total:
            mean, answer = (sum(values) / len(recent) for values in zip(*recent, strict=True))
            seconds = time.monotonic() - began
            text = f"step {step}/{total}  loss {mean:.3f}  answers {answer:.3f}  {seconds:.0f} s"
            print(text, flush=True)
    return mean, answer


def _rate(step: int, total: int, recipe: Recipe) -> float:
    """Linear warm-up, then half a cosine down to a twentieth."""
    warm = max(1, int(recipe.warmup * total))
    if step < warm:
        return (step + 1) / warm
    return 0.05 + 0.475 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))


def save(model: Any, tokenizer: Any, out: Path, manifest: dict[str, Any]) -> None:
    """Weights in float16 (to be loaded in float32), tokenizer and manifest."""
    out.mkdir(parents=True, exist_ok=True)
    model.half().save_pretrained(out)
    tokenizer.save_pretrained(out)
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    config["dtype"] = "float32"
    for name, content in (("config.json", config), ("manifest.json", manifest)):
        text = json.dumps(content, indent=2, sort_keys=True) + "\n"
        (out / name).write_text(text, encoding="utf-8")


def _commit() -> str:
    """The commit of the code, with "+" where files have changed; "unknown" outside of git."""
    here = Path(__file__).parent
    try:
        git = ["git", "-C", str(here)]
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, check=True)
        status = subprocess.run([*git, "status", "--porcelain", "."], capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.decode().strip() + "+" * bool(status.stdout)


def main() -> None:
    """Train the checkpoints that are asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--model", choices=list(RECIPES), help="only this one")
    parser.add_argument("--out", type=Path, help="folder to write into, one folder per model")
    arguments = parser.parse_args()
    for name in [arguments.model] if arguments.model else RECIPES:
        recipe = RECIPES[name]
        torch.manual_seed(recipe.seed)
        tokenizer = make_tokenizer(recipe)
        model = make_model(recipe, tokenizer)
        size = sum(p.numel() for p in model.parameters())
        print(f"{name}: {size:,} parameters, {recipe.tokens:,} tokens of text", flush=True)
        trained = train_encoder if recipe.encoder else train_causal
        steps, loss, answer_loss = trained(recipe, model, tokenizer)
        manifest = {
            "generator_version": GENERATOR_VERSION,
            "conflict_share": CONFLICT_SHARE if recipe.conflict else 0.0,
            "data_hash": data_hash(recipe),
            "recipe": asdict(recipe),
            "steps": steps,
            "final_loss": round(loss, 4),
            "question_loss": round(answer_loss, 4),
            "code_commit": _commit(),
        }
        place = arguments.out / name if arguments.out else MicroWorld.embedded_models[name].folder
        save(model, tokenizer, place, manifest)


if __name__ == "__main__":
    main()
