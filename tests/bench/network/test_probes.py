"""What networks do, and what their configurations say, in tiny models of many families."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import transformers as hf

from bench.core.errors import BenchError
from bench.network.encoding import encode
from bench.network.likelihood import TaskModel
from bench.network.limits import NO_LIMIT, attention_window, context_length, vocabulary
from bench.network.loading import load, load_tokenizer
from bench.network.probes import is_causal, output_layer_is_last, reads_types
from bench.network.running_text import cut_blocks
from bench.planning.model_info import describe
from bench.rows.task import TASKS
from bench.selfcheck.world import World

SMALL: dict[str, Any] = {"vocab_size": 60, "hidden_size": 32, "num_hidden_layers": 2}
SMALL |= {"num_attention_heads": 4, "intermediate_size": 48}
XLM: dict[str, Any] = {"vocab_size": 60, "emb_dim": 32, "n_layers": 2, "n_heads": 4}
XLNET: dict[str, Any] = {"vocab_size": 60, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48}
GPT2: dict[str, Any] = {"vocab_size": 60, "n_embd": 32, "n_layer": 2, "n_head": 4}


@pytest.mark.parametrize(
    ("make", "causal"),
    [
        (lambda: hf.LlamaForCausalLM(hf.LlamaConfig(**SMALL)), True),
        (lambda: hf.GPT2LMHeadModel(hf.GPT2Config(**GPT2)), True),
        (lambda: hf.BertLMHeadModel(hf.BertConfig(**SMALL, is_decoder=True)), True),
        (lambda: hf.BertLMHeadModel(hf.BertConfig(**SMALL)), False),
        (lambda: hf.XLMWithLMHeadModel(hf.XLMConfig(**XLM)), False),
        (lambda: hf.XLMWithLMHeadModel(hf.XLMConfig(**XLM, causal=True)), True),
        (lambda: hf.XLNetLMHeadModel(hf.XLNetConfig(**XLNET)), False),
    ],
)
def test_a_causal_lm_is_one_by_what_it_does(make: Any, causal: bool) -> None:
    net = make()
    assert is_causal(net) is causal
    assert net.training


def test_one_by_name_only_is_refused(tiny_causal: Path, tmp_path: Path) -> None:
    tokenizer = hf.AutoTokenizer.from_pretrained(tiny_causal)
    net = hf.XLMWithLMHeadModel(hf.XLMConfig(**XLM | {"vocab_size": len(tokenizer)}))
    net.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    info = describe(str(tmp_path))
    assert info.kind == "causal"
    with pytest.raises(BenchError, match="XLMWithLMHeadModel is no causal LM"):
        load(info, 2, 0)


@pytest.mark.parametrize(
    ("make", "reads"),
    [
        (lambda: hf.BertForSequenceClassification(hf.BertConfig(**SMALL)), True),
        (lambda: hf.AlbertForSequenceClassification(hf.AlbertConfig(**SMALL)), True),
        (lambda: hf.XLNetForSequenceClassification(hf.XLNetConfig(**XLNET)), True),
        (lambda: hf.RobertaForSequenceClassification(_roberta(type_vocab_size=1)), False),
        (lambda: hf.DebertaV2ForSequenceClassification(hf.DebertaV2Config(**SMALL)), False),
        (lambda: hf.DistilBertForSequenceClassification(_distilbert()), False),
        # GPT-2 and XLM take "types" for words
        (lambda: hf.GPT2ForSequenceClassification(hf.GPT2Config(**GPT2, pad_token_id=0)), False),
        (lambda: hf.XLMForSequenceClassification(hf.XLMConfig(**XLM)), False),
    ],
)
def test_token_types_go_to_networks_that_tell_texts_by_them(make: Any, reads: bool) -> None:
    net = make()
    assert ("token_type_ids" not in TaskModel(net).unread) is reads
    assert reads_types(net) is reads or not reads


def _roberta(**given: Any) -> Any:
    return hf.RobertaConfig(**SMALL, max_position_embeddings=130, pad_token_id=1, **given)


def _distilbert() -> Any:
    return hf.DistilBertConfig(vocab_size=60, dim=32, n_layers=2, n_heads=4, hidden_dim=48)


def test_a_pair_has_types_0_and_1_whatever_the_tokenizer_says(world: World) -> None:
    tokenizer = hf.AutoTokenizer.from_pretrained(world.models["encoder"])
    tokenizer.model_input_names = ["input_ids", "attention_mask"]  # the default of ALBERT's
    row = {"id": "0", "sentence1": "the cat saw a dog", "sentence2": "a bird", "label": 0}
    task = TASKS.get("rte")
    found = encode([row], task, tokenizer, "encoder", 64)
    assert found.types == [[0] * 7 + [1] * 3]
    template = world.models["causal"]  # "[CLS] $A $B": one type for all
    plain = encode([row], task, hf.AutoTokenizer.from_pretrained(template), "encoder", 64)
    assert plain.types == [[0] * 6 + [1] * 2]


@pytest.mark.parametrize(
    ("make", "length"),
    [
        (lambda: hf.BertForMaskedLM(hf.BertConfig(**SMALL, max_position_embeddings=130)), 130),
        (lambda: hf.RobertaForMaskedLM(_roberta()), 128),
        (lambda: hf.CamembertForMaskedLM(_as("Camembert")), 128),
        (lambda: hf.XLMRobertaForMaskedLM(_as("XLMRoberta")), 128),
        (lambda: hf.MPNetForMaskedLM(_as("MPNet")), 128),
        (lambda: hf.LongformerForMaskedLM(_as("Longformer", attention_window=16)), 128),
        (lambda: hf.XLNetLMHeadModel(hf.XLNetConfig(**XLNET)), NO_LIMIT),
        (lambda: hf.GPT2LMHeadModel(hf.GPT2Config(**GPT2, n_positions=64)), 64),
    ],
)
def test_the_context_is_what_the_position_table_has_room_for(make: Any, length: int) -> None:
    assert context_length(make()) == length


def _as(family: str, **given: Any) -> Any:
    make = getattr(hf, f"{family}Config")
    return make(**SMALL, max_position_embeddings=130, pad_token_id=1, **given)


@pytest.mark.parametrize("value", [-1, 0, None, "x", True, 1 << 62])
def test_a_limit_that_is_none(value: Any) -> None:
    net = hf.LlamaForCausalLM(hf.LlamaConfig(**SMALL))
    net.config.__dict__["max_position_embeddings"] = value
    assert context_length(net) == NO_LIMIT


@pytest.mark.parametrize(
    ("config", "window"),
    [
        (hf.LlamaConfig(), NO_LIMIT),
        (hf.MistralConfig(sliding_window=64), 64),
        (hf.MistralConfig(sliding_window=None), NO_LIMIT),
        (hf.Qwen2Config(use_sliding_window=False, max_window_layers=28), NO_LIMIT),
        (hf.GPTNeoConfig(), 256),
        (hf.Llama4TextConfig(attention_chunk_size=32), 32),
    ],
)
def test_the_smallest_window_of_a_configuration(config: Any, window: int) -> None:
    assert attention_window(config) == window


def test_a_vocabulary_that_is_not_said() -> None:
    assert vocabulary(hf.CanineConfig()) == 0
    assert vocabulary(hf.LlamaConfig(vocab_size=77)) == 77


def test_an_architecture_without_the_parts_has_no_such_layer() -> None:
    albert = hf.AlbertForMaskedLM(hf.AlbertConfig(**SMALL, embedding_size=16))
    assert not output_layer_is_last(albert)
    assert output_layer_is_last(hf.LlamaForCausalLM(hf.LlamaConfig(**SMALL)))
    scaled = hf.CohereForCausalLM(hf.CohereConfig(**SMALL, pad_token_id=0))
    assert not output_layer_is_last(scaled)


@pytest.mark.parametrize("known", [True, False])
def test_padding_is_a_token_that_the_model_knows(
    known: bool, tiny_causal: Path, tmp_path: Path
) -> None:
    tokenizer = hf.AutoTokenizer.from_pretrained(tiny_causal)
    size = len(tokenizer)
    tokenizer.add_special_tokens({"pad_token": "[ADDED]"})
    assert tokenizer.pad_token_id == size
    config = hf.CodeGenConfig(
        vocab_size=size + known, n_embd=32, n_layer=1, n_head=4, rotary_dim=4, n_positions=64
    )
    hf.CodeGenForCausalLM(config).save_pretrained(tmp_path)  # it has no pad_token_id at all
    tokenizer.save_pretrained(tmp_path)
    info = describe(str(tmp_path))
    pad = load_tokenizer(info).pad_token_id
    assert pad == (size if known else tokenizer.eos_token_id)
    assert load(info, 2, 0).net.config.pad_token_id == pad


def test_a_text_begins_as_its_kind_does_whatever_tokens_there_are(world: World) -> None:
    tokenizer = hf.AutoTokenizer.from_pretrained(world.models["causal"])
    tokenizer.add_special_tokens({"mask_token": "[MASK]", "cls_token": "[UNK]"})
    text = world.text.read_text()
    (causal,) = cut_blocks(text, tokenizer, 16, True, "causal", 16)
    (encoder,) = cut_blocks(text, tokenizer, 16, True, "encoder", 16)
    assert causal[0] == tokenizer.bos_token_id
    assert encoder[0] == tokenizer.cls_token_id != tokenizer.bos_token_id
    assert causal[1:] == encoder[1:]
