"""Shortcuts that a model's windows, caps, positions or padding break are not taken."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from accelerate import Accelerator
from torch import Tensor

from bench.network.batches import Encoded, answer_batch, collate
from bench.network.generation import greedy
from bench.network.likelihood import (
    TaskModel,
    Tried,
    Way,
    answer_scores,
    example_losses,
    settled_on,
    unlike,
)
from bench.network.loading import load
from bench.network.running_text import cut_blocks, text_batches, text_loss
from bench.planning.model_info import describe
from bench.scoring.evaluation import score_rows

CPU = torch.device("cpu")
SMALL: dict[str, Any] = {"vocab_size": 60, "hidden_size": 32, "num_hidden_layers": 2}
SMALL |= {"num_attention_heads": 4, "intermediate_size": 48}


def rows(count: int = 6, longest: int = 40) -> Encoded:
    """Prompts of unlike length with three answers of one to three tokens."""
    generator = torch.Generator().manual_seed(0)

    def tokens(length: int) -> list[int]:
        return torch.randint(5, 60, (length,), generator=generator).tolist()

    prompts = [tokens(3 + i * (longest - 3) // (count - 1)) for i in range(count)]
    answers = [[tokens(1), tokens(3), tokens(2)] for _ in prompts]
    return Encoded([str(i) for i in range(count)], [0] * count, prompts, answers, [], 0)


def head_rows() -> Encoded:
    """The same for a classifier."""
    given = rows()
    return Encoded(given.ids, given.gold, given.prompts, [], [], 0)


def rough(net: Any, by: float = 0.2) -> Any:
    """Far from uniform, or every mistake looks like rounding."""
    torch.manual_seed(0)
    for parameter in net.parameters():
        parameter.data += by * torch.randn_like(parameter)
    return net.eval()


@torch.inference_mode()
def slow(net: Any, given: Encoded) -> Tensor:
    """One row, one answer, no padding, no cache."""
    net.eval()
    found = []
    for i, prompt in enumerate(given.prompts):
        if not given.answers:
            found.append(net(input_ids=torch.tensor([prompt])).logits[0])
            continue
        scores = []
        for answer in given.answers[i]:
            likely = net(input_ids=torch.tensor([prompt + answer])).logits[0].log_softmax(-1)
            at = len(prompt) - 1
            scores.append(sum(likely[at + k, token] for k, token in enumerate(answer)))
        found.append(torch.stack(scores))
    return torch.stack(found)


def test_what_is_tried_out_is_unlike() -> None:
    many = rows(count=100)
    assert set(unlike(many)) >= {0, 99} and len(unlike(many)) == 8
    few = rows(count=20)
    few.answers[7][1] = [5] * 9
    assert unlike(few) == [0, 7, 19], "the shortest, that with the longest answer, the longest"


def scored(model: TaskModel, given: Encoded) -> Tensor:
    return torch.tensor(score_rows(model, given, 0, Accelerator(cpu=True)))


def mistral() -> Any:
    return hf.MistralForCausalLM(
        hf.MistralConfig(**SMALL, num_key_value_heads=2, head_dim=8, sliding_window=16)
    )


def mpt() -> Any:
    return hf.MptForCausalLM(hf.MptConfig(d_model=32, n_heads=4, n_layers=2, vocab_size=60))


def gpt_neo() -> Any:
    return hf.GPTNeoForCausalLM(
        hf.GPTNeoConfig(
            vocab_size=60,
            hidden_size=32,
            num_layers=2,
            num_heads=4,
            attention_types=[[["global", "local"], 1]],
            window_size=16,
            max_position_embeddings=64,
        )
    )


@pytest.mark.parametrize("make", [mistral, gpt_neo, mpt])
def test_prompts_are_not_shared_where_padding_would_fill_a_window(make: Any) -> None:
    net, given = rough(make()), rows()
    model = TaskModel(net)
    assert torch.allclose(scored(model, given), slow(net, given), atol=1e-4)
    assert model.ways["score"] == "picked"
    with torch.inference_mode():
        model.way = Way.SHARED
        shared = answer_scores(model, given, range(len(given)), 0, CPU, worth=0)
    assert (shared - slow(net, given)).abs().max() > 0.05


def mamba() -> Any:
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 8}
    return hf.MambaForCausalLM(hf.MambaConfig(vocab_size=60, **sizes))


@pytest.mark.parametrize("make", [mpt, mamba])
def test_prompts_are_not_shared_where_the_one_long_answer_would_be_wrong(make: Any) -> None:
    net, given = rough(make()), rows(60)
    given.answers = [
        answers if i == 10 else answers[:1] * 3 for i, answers in enumerate(given.answers)
    ]
    model = TaskModel(net)
    assert torch.allclose(scored(model, given), slow(net, given), atol=1e-4)


def test_prompts_within_the_window_are_shared() -> None:
    net, given = rough(mistral()), rows(longest=10)
    model = TaskModel(net)
    assert torch.allclose(scored(model, given), slow(net, given), atol=1e-4)
    assert model.ways["score"] == "shared"


@pytest.mark.parametrize("answers", [slice(None), slice(1, 2)], ids=["choices", "one answer"])
def test_what_stands_before_every_prompt_is_read_once_a_batch(answers: slice) -> None:
    given = rows(8, longest=20)
    front = torch.arange(40) % 50 + 5
    given.prompts = [[*front.tolist(), *prompt] for prompt in given.prompts]
    given.answers = [row[answers] for row in given.answers]
    config = hf.LlamaConfig(**SMALL, num_key_value_heads=2, max_position_embeddings=128)
    net = rough(hf.LlamaForCausalLM(config))
    model = TaskModel(net)
    read: list[int] = []

    def count(_: Any, __: Any, inputs: dict[str, Any]) -> None:
        read.append(inputs["input_ids"].numel())

    assert given.front[:40] == front.tolist()
    model.way = Way.SHARED
    with net.base_model.register_forward_pre_hook(count, with_kwargs=True), torch.inference_mode():
        shared = answer_scores(model, given, range(len(given)), 0, CPU)
    assert torch.allclose(shared, slow(net, given), atol=1e-4)
    assert read[:2] == [len(given.front), 8 * (60 - len(given.front))]
    assert torch.allclose(scored(model, given), slow(net, given), atol=1e-4)
    assert model.ways["score"] == "shared"


def test_short_beginnings_and_single_rows_have_nothing_to_share() -> None:
    given = rows()
    given.prompts = [[7] * 31 + [i] for i in range(len(given))]
    assert given.front == []
    alone = rows(count=2)
    assert Encoded(["0"], [0], [[7] * 50], alone.answers[:1], [], 0).front == []
    same = Encoded(["0", "1"], [0, 0], [[7] * 50] * 2, alone.answers, [], 0)
    assert same.front == [7] * 49, "a token is left to predict behind"


def test_a_cap_that_does_not_show_before_training_is_not_left_out() -> None:
    config = hf.Gemma2Config(**SMALL, num_key_value_heads=2, head_dim=8)
    assert config.final_logit_softcapping == 30
    net, given = hf.Gemma2ForCausalLM(config).eval(), rows()
    model = TaskModel(net)
    picked = TaskModel(net)
    picked.way = Way.PICKED
    batch = collate(given, range(len(given)), 0)
    with torch.inference_mode():
        before = (example_losses(model, batch) - example_losses(picked, batch)).abs().max()
        rough(net, 0.5)
        after = (example_losses(model, batch) - example_losses(picked, batch)).abs().max()
    assert before < 1e-3 < 0.05 < after
    assert torch.allclose(-example_losses(model, batch), slow(net, given)[:, 0], atol=1e-3)


def test_it_is_asked_again_of_the_weights_as_they_are() -> None:
    net, given = rough(mpt()), rows()
    attention = [block.attn.Wqkv.weight.data for block in net.transformer.blocks]
    trained = [weights.clone() for weights in attention]
    for weights in attention:
        weights[:64].zero_()  # every token is looked at alike, but for the slopes
        weights[64:].zero_()  # and says nothing
    model = TaskModel(net)
    scored(model, given)
    assert model.ways["score"] == "shared"
    for weights, value in zip(attention, trained, strict=True):
        weights.copy_(value)
    assert torch.allclose(scored(model, given), slow(net, given), atol=1e-4)
    assert model.ways["score"] == "picked"


@pytest.mark.parametrize("family", ["Albert", "Electra"])
def test_a_probe_that_cannot_run_is_no_shortcut(
    family: str, tiny_encoder: Path, tiny_text: Path
) -> None:
    tokenizer = hf.AutoTokenizer.from_pretrained(tiny_encoder)
    config = getattr(hf, f"{family}Config")(
        **SMALL | {"vocab_size": len(tokenizer), "embedding_size": 16}
    )
    net = rough(getattr(hf, f"{family}ForMaskedLM")(config))
    blocks = cut_blocks(tiny_text.read_text(), tokenizer, 200, True, "encoder", 40)
    batches = text_batches([*blocks, blocks[0][:9]], tokenizer, "encoder")
    found = text_loss(TaskModel(net), batches)
    net.eval()
    total = 0.0
    for batch in batches:
        for i in range(len(batch)):
            length = int(batch.inputs["attention_mask"][i].sum())
            logits = net(input_ids=batch.inputs["input_ids"][i : i + 1, :length]).logits[0]
            targets = batch.targets[i, :length]
            total += float(torch.nn.functional.cross_entropy(logits, targets, reduction="sum"))
    assert found.loss == pytest.approx(total / sum(found.tokens), rel=1e-5)


def test_where_padding_changes_a_text_each_goes_alone() -> None:
    config = hf.FNetConfig(**SMALL, max_position_embeddings=64)  # mixes all positions, no mask
    net, given = rough(hf.FNetForSequenceClassification(config)), head_rows()
    model = TaskModel(net)
    assert torch.allclose(scored(model, given), slow(net, given), atol=1e-5)
    assert model.ways["score"] == "alone"
    model.settle("train", lambda: example_losses(model, collate(given, range(6), 0)))
    model.train()
    example_losses(model, collate(given, range(6), 0)).sum().backward()
    assert model.way is Way.ALONE


def test_the_way_of_training_outlives_a_scoring() -> None:
    model = TaskModel(rough(mistral()))
    for before in (Way.ALONE, Way.WHOLE, Way.PICKED):
        model.way = before
        with settled_on(model, rows(longest=10), 0, CPU):
            assert model.way is Way.SHARED
        assert model.way is before


def test_what_lies_within_what_was_tried_is_not_tried_again() -> None:
    model, calls = TaskModel(rough(mistral())), Counter[Way]()
    one_by_one = model._one_by_one

    def counted(*given: Any) -> Tensor:
        calls[model.way] += 1
        return one_by_one(*given)

    model._one_by_one = counted  # type: ignore[method-assign]

    def tried(given: Encoded) -> int:
        before = calls[Way.ALONE]
        with settled_on(model, given, 0, CPU):
            assert model.way is Way.SHARED
        return calls[Way.ALONE] - before

    long, short = rows(longest=10), rows(longest=8)
    assert tried(long) and tried(short), "the weights may have changed"
    with model.unchanged():
        assert tried(short) and tried(long) and not tried(short) and not tried(long)
        short.answers[0][0] = [5] * 4
        assert tried(short) and not tried(short), "an answer is longer than any before"
    assert tried(short), "they may have changed again"


def test_the_slower_way_of_two_is_gone_between_them() -> None:
    one, other = Tried(3, 9, 2, 0, Way.SHARED), Tried(8, 20, 1, 0, Way.WHOLE)
    assert one.and_for(other) == Tried(3, 20, 2, 0, Way.WHOLE)
    assert one.and_for(other).holds_for(Tried(4, 19, 2, 0, Way.SHARED))
    assert not one.holds_for(other) and not one.holds_for(one._replace(front=40))
    assert one.and_for(other._replace(front=40)) == other._replace(front=40)


def test_one_pad_id_for_tokenizer_and_head(tiny_encoder: Path, tmp_path: Path) -> None:
    tokenizer = hf.AutoTokenizer.from_pretrained(tiny_encoder)
    config = hf.GPT2Config(
        vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=4, pad_token_id=7, num_labels=2
    )
    net = rough(hf.GPT2ForSequenceClassification(config))
    given = head_rows()
    given.prompts = [[t % 30 + 8 for t in prompt] for prompt in given.prompts]
    model = TaskModel(net)  # its head takes padding for text
    assert torch.allclose(scored(model, given), slow(net, given), atol=1e-5)
    assert model.ways["score"] == "alone"
    net.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    found = load(describe(str(tmp_path)), 2, 0).net.eval()
    assert found.config.pad_token_id == tokenizer.pad_token_id == 0
    model = TaskModel(found)
    assert torch.allclose(scored(model, given), slow(found, given), atol=1e-5)
    assert model.ways["score"] == "whole"


def test_text_is_written_from_the_models_own_positions(tiny_causal: Path) -> None:
    """A causal RoBERTa counts from behind its pad id, and `generate` from 0."""
    tokenizer = hf.AutoTokenizer.from_pretrained(tiny_causal)
    config = hf.RobertaConfig(
        **SMALL, is_decoder=True, pad_token_id=0, max_position_embeddings=64, type_vocab_size=1
    )
    net = rough(hf.RobertaForCausalLM(config))
    prompts = rows(4, 20).prompts
    written = greedy(net, tokenizer, prompts, max_new_tokens=5)
    for prompt, tokens in zip(prompts, written, strict=True):
        own: list[int] = []
        while len(own) < 5:
            with torch.inference_mode():
                token = int(net(input_ids=torch.tensor([prompt + own])).logits[0, -1].argmax())
            if token == tokenizer.eos_token_id:
                break
            own.append(token)
        assert tokens == own


def test_only_the_examples_asked_for() -> None:
    batch = answer_batch([([1, 2], [3]), ([4], [5, 6]), ([7, 8, 9], [10])], 0)
    some = batch.only([2, 0])
    assert some.inputs["input_ids"].tolist() == [[7, 8, 9], [1, 2, 0]]
    assert some.targets[:, 0].tolist() == [10, 3]
    assert len(some) == 2
