"""A world of a hundred words: two tiny pretrained models, two tasks, and a text.

Everything is drawn from fixed seeds. The causal model is trained for a second, so that it answers
prompts with words that stand there, right and wrong ones among them.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import nn

from bench.cells.cell import Cell
from bench.planning.method_names import parts_of
from bench.planning.options import read
from bench.planning.plan import Plan, make_plan
from bench.planning.plugins import load_builtin
from bench.rows.task import TASKS
from bench.running.session import CellSession
from bench.running.workspace import Workspace
from bench.training.loop import train

NOUNS = [
    "cat",
    "dog",
    "bird",
    "child",
    "teacher",
    "king",
    "farmer",
    "horse",
    "girl",
    "boy",
    "doctor",
    "sailor",
]
VERBS = ["saw", "heard", "liked", "found", "chased", "helped", "painted", "followed"]
PLACES = ["garden", "house", "river", "forest", "school", "castle"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
SPLITS = {"train": 40, "dev": 24}
CONTEXT = 192  # tokens: longer than a block of running text

TINY = ["steps=4", "batch_size=8", "retention_tokens=256", "forget_rows=16"]
"""The recipe that `plan_for` starts from, so that a cell takes a fraction of a second."""


def sentence(rng: random.Random) -> list[str]:
    """A sentence of the little language, of five or eight words."""
    subject, thing = rng.sample(NOUNS, 2)
    where = rng.choice(["", f" in the {rng.choice(PLACES)}"])
    return f"the {subject} {rng.choice(VERBS)} a {thing}{where}".split()


def cola_rows(rng: random.Random, count: int) -> list[tuple[str, str]]:
    """(sentence, label): whole sentences, and every other one out of order."""
    rows = []
    for i in range(count):
        words = sentence(rng)
        if i % 2 == 0:
            rng.shuffle(words)
        rows.append((" ".join(words), str(i % 2)))
    return rows


def rte_rows(rng: random.Random, count: int) -> list[tuple[str, str, str]]:
    """(text, claim, label): the claim is the text's first half, or says something else."""
    rows = []
    for i in range(count):
        first, second, other = (" ".join(sentence(rng)) for _ in range(3))
        label, claim = ("entailment", first) if i % 2 else ("not_entailment", other)
        rows.append((f"{first} and {second}", claim, label))
    return rows


def write_data(folder: Path) -> Path:
    """CoLA and RTE in the classic layout of GLUE."""
    rng = random.Random("tiny data")
    for split, count in SPLITS.items():
        lines = ["\t".join(["src", label, "", text]) for text, label in cola_rows(rng, count)]
        _write(folder / "glue" / "CoLA" / f"{split}.tsv", lines)
        lines = ["index\tsentence1\tsentence2\tlabel"]
        lines += ["\t".join([str(i), *row]) for i, row in enumerate(rte_rows(rng, count))]
        _write(folder / "glue" / "RTE" / f"{split}.tsv", lines)
    return folder


def write_text(path: Path, sentences: int = 400) -> Path:
    """Running text, to be retained."""
    rng = random.Random("tiny text")
    _write(path, [" ".join(sentence(rng)) + "." for _ in range(sentences)])
    return path


def _write(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _tokenizer(template: str, pair: str, **special: str) -> hf.PreTrainedTokenizerFast:
    """Whole words and punctuation marks, with the special tokens where `template` has them."""
    load_builtin()
    prompts = [TASKS.get(name).prompt for name in ("cola", "rte")]
    known = [*NOUNS, *VERBS, *PLACES, *["the", "a", "in", "and", "yes", "no", "."], *prompts]
    split = pre_tokenizers.Whitespace()
    words = [word for text in known for word, _ in split.pre_tokenize_str(text)]
    order = dict.fromkeys([*SPECIAL, *words])
    vocabulary = {word: i for i, word in enumerate(order)}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    core.pre_tokenizer = split
    ids = [(token, vocabulary[token]) for token in SPECIAL]
    core.post_processor = processors.TemplateProcessing(template, pair, ids)
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=core, unk_token="[UNK]", pad_token="[PAD]", **special
    )


def write_causal(folder: Path) -> Path:
    """A Llama of 23 thousand weights, tied embeddings among them, with its tokenizer."""
    tokenizer = _tokenizer("[CLS] $A", "[CLS] $A $B", bos_token="[CLS]", eos_token="[SEP]")
    config = hf.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=CONTEXT,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = hf.LlamaForCausalLM(config)
        _pretrain(net, tokenizer)
    return _save(net, tokenizer, folder)


def _pretrain(net: nn.Module, tokenizer: hf.PreTrainedTokenizerFast) -> None:
    """A hundred steps on sentences and on prompts with random answers."""
    rng = random.Random("tiny pretraining")
    optimizer = torch.optim.AdamW(net.parameters(), lr=5e-3)
    for _ in range(100):
        texts = [" ".join(sentence(rng)) + "." for _ in range(8)]
        texts += [
            TASKS.get("cola").prompt.format(sentence=text) + rng.choice([" yes.", " no."])
            for text, _ in cola_rows(rng, 4)
        ]
        texts += [
            TASKS.get("rte").prompt.format(sentence1=text, sentence2=claim)
            + rng.choice([" yes.", " no."])
            for text, claim, _ in rte_rows(rng, 4)
        ]
        rows = [[*row, tokenizer.eos_token_id] for row in tokenizer(texts)["input_ids"]]
        width = max(map(len, rows))
        pad = tokenizer.pad_token_id
        ids = torch.tensor([row + [pad] * (width - len(row)) for row in rows])
        loss = net(input_ids=ids, labels=ids.masked_fill(ids == pad, -100)).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def write_encoder(folder: Path, kind: type = hf.BertForMaskedLM) -> Path:
    """A BERT with dropout and the head that it was pretrained with, and its tokenizer."""
    tokenizer = _tokenizer(
        "[CLS] $A [SEP]",
        "[CLS] $A [SEP] $B:1 [SEP]:1",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )
    tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    config = hf.BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=CONTEXT,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(2)
        net = kind(config)
        for parameter in net.parameters():  # zeros and ones would hide mistakes
            parameter.data += 0.05 * torch.randn_like(parameter)
    return _save(net, tokenizer, folder)


def _save(net: Any, tokenizer: hf.PreTrainedTokenizerFast, folder: Path) -> Path:
    hf.utils.logging.disable_progress_bar()
    net.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@dataclass(frozen=True)
class World:
    """The tiny models by kind, their rows and their text, on disk."""

    models: dict[str, Path]
    data: Path
    text: Path

    def plan(self, method: str, kind: str, *settings: str, **options: Any) -> Plan:
        """The plan of one cell of `method` on CoLA."""
        options = {"retention": str(self.text), **options}
        return plan_for([method], ["cola"], self.models[kind], self.data, *settings, **options)


def write_world(folder: Path) -> World:
    """Make everything anew in `folder`; takes about a second."""
    return World(
        models={
            "causal": write_causal(folder / "tiny-causal"),
            "encoder": write_encoder(folder / "tiny-encoder"),
        },
        data=write_data(folder / "tiny-data"),
        text=write_text(folder / "tiny.txt"),
    )


def plan_for(
    methods: Sequence[str],
    tasks: Sequence[str],
    model: Path | str,
    data: Path | str,
    *settings: str,
    **options: Any,
) -> Plan:
    """The plan of a tiny run: `plan_for(["lwf"], ["cola"], model, data, "lwf.interval=1")`.

    `settings` are the words of --set, over `TINY` and what the methods call `quick`; `options` are
    further words of `bench.planning.options.read` (one seed and no reference unless they say so).
    """
    load_builtin()
    words = [f"train.{setting}" for setting in TINY]
    words += [
        f"{cls.name}.{name}={value}"
        for method in methods
        for cls in parts_of(method)
        for name, value in cls.quick.items()
    ]
    asked = {"methods": methods, "tasks": tasks, "model": [model], "data": data}
    given = {"seeds": 1, "no_reference": True, "settings": [*words, *settings], **options}
    return make_plan(read({**asked, **given}))


def workspace_for(plan: Plan, folder: Path) -> Workspace:
    """A workspace in `folder` that holds the plan's rows and reports nothing."""
    return Workspace(folder, lambda what, done, of, loss: None, plan.material)


def cells_of(plan: Plan) -> list[Cell]:
    """The cells of a plan without sequences of tasks."""
    return [cell for cell in plan.spec.cells() if isinstance(cell, Cell)]


def only_cell(plan: Plan) -> Cell:
    """The cell of a plan that has one."""
    (cell,) = cells_of(plan)
    return cell


def stage_for(plan: Plan, folder: Path) -> CellSession:
    """The only cell's model and data, before anything is trained."""
    return CellSession(only_cell(plan), workspace_for(plan, folder))


def trained(plan: Plan, folder: Path) -> CellSession:
    """The only cell after its training, unscored and without a checkpoint."""
    stage = stage_for(plan, folder)
    train(stage.run, stage.method, None)
    return stage


def weights(stage: CellSession) -> dict[str, torch.Tensor]:
    """A copy of all weights as they are now."""
    return {name: p.detach().clone() for name, p in stage.run.net.named_parameters()}
