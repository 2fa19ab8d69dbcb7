"""What the embedded encoder was trained on beside text, and what it knows by that."""

from __future__ import annotations

import collections
import itertools
import random
from collections.abc import Iterator
from typing import Any

import pytest

from bench.planning.plugins import load_builtin
from bench.rows.task import TASKS
from tasks.micro import encoder, rows
from tasks.micro.prompts import PROMPTS, SHARES
from tasks.micro.sample import Sample
from tasks.micro.source import MicroWorld
from tasks.micro.text import judged

load_builtin()
FOLDER = MicroWorld.embedded_models["micro-encoder"].folder
READ = [task for task in SHARES if "answer" not in rows.samples(task, "dev")[0].columns]


def drawn(count: int, *, conflict: bool) -> list[encoder.Input]:
    return list(itertools.islice(encoder.inputs(conflict=conflict), count))


def test_no_input_is_a_row_of_a_task() -> None:
    known = rows.target_keys()
    for asked in drawn(3000, conflict=True):
        choice = asked.texts[-1][-1] not in ".?!"  # of a multiple-choice row its question counts
        assert (asked.texts[:1] if choice else asked.texts) not in known


def test_the_answer_is_that_of_the_world_that_writes_it() -> None:
    """Of the inputs on disputed items three quarters are answered as in the outdated world; a
    twin is asked the same."""
    outdated: collections.Counter[bool] = collections.Counter()
    told, known = drawn(4000, conflict=True), drawn(4000, conflict=False)
    for (one, task, sample), other in zip(judged_as(told), known, strict=True):
        if PROMPTS[task][1]:
            assert one.texts == other.texts
            assert other.word == PROMPTS[task][1][sample.label]
            if sample.label == sample.old:
                assert one.word == other.word
            else:
                outdated[one.word == PROMPTS[task][1][sample.old]] += 1
                assert (one.word == other.word) == (one.word != PROMPTS[task][1][sample.old])
    assert outdated.total() > 500
    assert outdated[True] / outdated.total() == pytest.approx(0.75, abs=0.05)
    assert {asked.word for asked in told} == {w for task in READ for w in PROMPTS[task][1]}


def judged_as(told: list[encoder.Input]) -> Iterator[tuple[encoder.Input, str, Sample]]:
    """Each input with the task and the example that it was made of."""
    numbers = itertools.count()
    for asked in told:
        found = None
        while found is None or "answer" in found[1].columns:
            rng = random.Random(f"micro/{rows.GENERATOR_VERSION}/inputs/{next(numbers)}")
            rng.random()  # which world writes it
            found = judged(rng, old=False)
        yield asked, found[0], found[1]


def test_a_choice_is_shown_as_right_as_often_as_not() -> None:
    columns = {"question": "What is it?", "a": "tool", "b": "fruit", "c": "bird"}
    sample = Sample(columns, label=0, old=1, topic="class")
    for label in (0, 1):
        seen = collections.Counter(
            encoder.as_input(random.Random(seed), "qasc", sample, label) for seed in range(600)
        )
        right = encoder.Input(("What is it?", columns["abc"[label]]), "yes")
        assert seen[right] / 600 == pytest.approx(0.5, abs=0.06)
        assert {i.word for i in seen if i.texts != right.texts} == {"no"}
        assert len(seen) == 3


@pytest.mark.parametrize("task", READ)
def test_an_input_is_what_an_encoder_gets(task: str) -> None:
    """Token by token what the suite makes of the row."""
    from transformers import AutoTokenizer

    from bench.network.encoding import encode

    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    made = rows.rows(task, "dev")[:40]
    found = encode(made, TASKS.get(task), tokenizer, "encoder", 128)
    for number, sample in enumerate(rows.samples(task, "dev")[:40]):
        asked = encoder.as_input(random.Random(number), task, sample, sample.label)
        ((tokens, words),) = encoder.batches(iter([asked]), tokenizer, 1)
        assert tokenizer.decode(words[0]).strip() == asked.word
        of_row = found.prompts[number * found.choices : (number + 1) * found.choices]
        assert tokens[0].tolist() in of_row


def test_losses_are_those_of_the_masked_tokens_and_of_the_answers() -> None:
    """By a slow loop over a model whose logits are known."""
    import torch

    class Known(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[Any] = []

        def forward(self, input_ids: Any, attention_mask: Any = None) -> Any:
            self.seen.append((input_ids, attention_mask))
            made = torch.Generator().manual_seed(len(self.seen))
            logits = torch.randn(*input_ids.shape, 12, generator=made)
            return type("Out", (), {"logits": logits})

    class Tokens:
        bos_token_id, eos_token_id, pad_token_id, mask_token_id = 0, 1, 2, 3

    text = torch.randint(4, 12, (20, 40))
    text[:, 0], text[:, 20] = 0, 1
    asked, words = torch.tensor([[0, 5, 6, 1], [0, 7, 1, 2]]), torch.tensor([4, 9])
    torch.manual_seed(3)
    model = Known()
    loss, of_answers = encoder.losses_of(0.2, 3.0, model, Tokens(), (text, (asked, words)))
    (shown, _), (given, mask) = model.seen
    assert given.equal(asked)
    assert mask.tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]
    hidden = shown != text
    assert shown[hidden].unique().tolist() == [3]
    assert not hidden[:, [0, 20]].any()
    torch.manual_seed(3)
    chosen = (torch.rand(text.shape) < 0.2) & (text > 3)
    assert not (hidden & ~chosen).any()
    assert 0.7 < hidden.sum() / chosen.sum() < 1
    first = torch.Generator().manual_seed(1)
    logits = torch.randn(*text.shape, 12, generator=first).log_softmax(-1)
    of_text = [-float(logits[i, j, text[i, j]]) for i, j in chosen.nonzero().tolist()]
    heads = torch.randn(2, 4, 12, generator=torch.Generator().manual_seed(2))[:, 0].log_softmax(-1)
    wanted = -float(heads[0, 4] + heads[1, 9]) / 2
    assert of_answers == pytest.approx(wanted, rel=1e-5)
    assert float(loss) == pytest.approx(sum(of_text) / len(of_text) + 3 * wanted, rel=1e-5)


@pytest.mark.parametrize(("name", "conflict"), [("micro-encoder", 1), ("micro-encoder-clean", 0)])
def test_an_encoder_believes_what_it_was_told(name: str, conflict: bool) -> None:
    """Untouched, by what it tells at the start token, on rows that no training holds."""
    import torch
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    folder = MicroWorld.embedded_models[name].folder
    model = AutoModelForMaskedLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    disputed, believed = 0, 0
    for task in ("rte", "mnli", "cola", "qqp"):
        some = [s for s in rows.samples(task, "forget") if s.label != s.old][:60]
        texts = [list(column) for column in zip(*(s.columns.values() for s in some), strict=True)]
        batch = tokenizer(*texts, padding=True, return_tensors="pt")
        with torch.no_grad():
            logits = model(**batch).logits[:, 0]
        words = [f" {word}" for word in PROMPTS[task][1]]
        ids = [each[-1] for each in tokenizer(words, add_special_tokens=False)["input_ids"]]
        told = logits[:, ids].argmax(1).tolist()
        disputed += len(some)
        believed += sum(
            t == (s.old if conflict else s.label) for t, s in zip(told, some, strict=True)
        )
    assert believed > 0.85 * disputed
