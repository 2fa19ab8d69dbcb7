"""Multiple choice on an encoder: one head scores each choice, as in BertForMultipleChoice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from bench.gradients.fisher import fisher_diagonal
from bench.network.batches import Batch, Encoded, collate
from bench.network.encoding import encode
from bench.network.likelihood import TaskModel, answer_scores, example_losses
from bench.planning.plugins import load_builtin
from bench.rows.task import TASKS

load_builtin()
COPA = TASKS.get("copa")
ROWS = [
    {"id": "0", "premise": "the cat saw a dog", "question": "a king", "choice1": "the dog saw",
     "choice2": "a girl liked the boy in the house", "label": 1},
    {"id": "1", "premise": "a king", "question": "the", "choice1": "a bird heard the farmer",
     "choice2": "the", "label": 0},
    {"id": "2", "premise": "a child and a horse", "question": "the", "choice1": "a sailor",
     "choice2": "the doctor", "label": 1},
]  # fmt: skip


@pytest.fixture
def tokenizer(tiny_encoder: Path) -> Any:
    from transformers import AutoTokenizer

    found = AutoTokenizer.from_pretrained(tiny_encoder)
    found.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    return found


@pytest.fixture
def encoded(tokenizer: Any) -> Encoded:
    return encode(ROWS, COPA, tokenizer, "encoder", 64)


@pytest.fixture
def net(tiny_encoder: Path) -> Any:
    from transformers import AutoModelForSequenceClassification

    torch.manual_seed(0)
    make = AutoModelForSequenceClassification.from_pretrained
    return make(tiny_encoder, num_labels=COPA.outputs).eval()


def test_each_choice_stands_behind_the_question(tokenizer: Any, encoded: Encoded) -> None:
    pairs = [
        tokenizer(f"{row['premise']} {row['question']}", row[choice])
        for row in ROWS
        for choice in ("choice1", "choice2")
    ]
    assert encoded.prompts == [pair["input_ids"] for pair in pairs]
    assert encoded.types == [pair["token_type_ids"] for pair in pairs]
    assert (len(encoded), encoded.gold, encoded.choices) == (3, [1, 0, 1], 2)
    assert encoded.length(0) == 2 * len(pairs[1]["input_ids"])
    cut = encode(ROWS, COPA, tokenizer, "encoder", 12)
    assert cut.truncated == sum(
        any(len(pair["input_ids"]) > 12 for pair in pairs[i : i + 2]) for i in (0, 2, 4)
    )
    assert 0 < cut.truncated < 3
    assert max(map(len, cut.prompts)) == 12


def test_logits_and_losses_are_those_of_hugging_faces_model(net: Any, encoded: Encoded) -> None:
    from transformers import BertForMultipleChoice

    theirs = BertForMultipleChoice(net.config).eval()
    theirs.load_state_dict(net.state_dict())
    batch = collate(encoded, [0, 1, 2], 0)
    assert batch.inputs["input_ids"].shape[:2] == (3, 2)
    wanted = theirs(**batch.inputs, labels=batch.targets)
    model = TaskModel(net)
    torch.testing.assert_close(model(batch.inputs, None), wanted.logits)
    assert example_losses(model, batch).mean().item() == pytest.approx(wanted.loss.item())
    with torch.no_grad():
        one_by_one = [answer_scores(model, encoded, [i], 0, net.device) for i in (2, 0)]
        together = answer_scores(model, encoded, [2, 0], 0, net.device)
    torch.testing.assert_close(torch.cat(one_by_one), together)


def test_an_example_is_a_question_with_all_its_choices(
    net: Any, encoded: Encoded, caplog: pytest.LogCaptureFixture
) -> None:
    """The Fisher diagonal against a loop of one question at a time, and nothing on the slow way."""
    model = TaskModel(net)

    def losses(_: Any, batch: Batch) -> torch.Tensor:
        return example_losses(model, batch)

    found = fisher_diagonal(net, [collate(encoded, [0, 1, 2], 0)], losses)
    expected = {name: torch.zeros_like(p) for name, p in net.named_parameters()}
    for i in range(3):
        batch = collate(encoded, [i], 0)
        rows = {name: x[0] for name, x in batch.inputs.items()}
        net.zero_grad()
        cross_entropy(net(**rows).logits.T, batch.targets).backward()
        for name, p in net.named_parameters():
            expected[name] += p.grad.square() / 3
    assert not caplog.records
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-9)
