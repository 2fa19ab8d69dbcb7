"""A text that spells a special token is read as that text, whatever the tokenizer is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import transformers as hf
from tokenizers import Tokenizer, models, pre_tokenizers

from bench.network.encoding import encode, token_ids
from bench.network.literal_text import take_literally
from bench.network.loading import load_tokenizer
from bench.network.running_text import cut_blocks
from bench.planning.model_info import describe
from bench.planning.plugins import load_builtin
from bench.rows.task import TASKS

load_builtin()
LETTERS = "▁abcdefghijklmnopqrstuvwxyzACEKLMPS[]<|>/"


def unigram(kind: Any, *special: str) -> Any:
    """As ALBERT, XLM-R, XLNet have it: the special tokens are pieces of the vocabulary itself."""
    return kind(vocab=[(name, 0.0) for name in special] + [(c, -3.0) for c in LETTERS])


def word_level() -> Any:
    """Words between blanks, the special tokens among them."""
    words = ["[UNK]", "[SEP]", "[PAD]", "a", "b"]
    core = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=core, unk_token="[UNK]", sep_token="[SEP]", pad_token="[PAD]"
    )


def byte_level() -> Any:
    """As GPT-2 has it."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE({c: i for i, c in enumerate(alphabet)}, []))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return hf.PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|endoftext|>")


MADE = {
    "albert": (lambda: unigram(hf.AlbertTokenizer, "<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]")),
    "xlm-r": (lambda: unigram(hf.XLMRobertaTokenizer, "<s>", "<pad>", "</s>", "<unk>", "<mask>")),
    "xlnet": (
        lambda: unigram(hf.XLNetTokenizer, "<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>")
    ),
    "words": word_level,
    "bytes": byte_level,
    "byt5": hf.ByT5Tokenizer,
}


@pytest.mark.parametrize("name", MADE)
def test_no_text_holds_a_special_token(name: str) -> None:
    tokenizer = MADE[name]()
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    frame = [i for i in tokenizer("a")["input_ids"] if i in special]
    plain = tokenizer("a b")["input_ids"]
    for token in set(tokenizer.all_special_tokens) - {tokenizer.unk_token}:
        text = f"a {token} b"
        take_literally(tokenizer)
        (found,) = token_ids(tokenizer, [text])
        assert found == tokenizer(text)["input_ids"]
        assert [i for i in found if i in special] == frame, token
    assert tokenizer("a b")["input_ids"] == plain
    for token, i in zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True):
        assert tokenizer.convert_tokens_to_ids(token) == i
        assert tokenizer.convert_ids_to_tokens(i) == token


def test_prompts_answers_and_running_text(tiny_causal: Path, tiny_encoder: Path) -> None:
    text = "the cat [SEP] saw [CLS] a dog [MASK] [PAD]"
    row = {"id": "1", "question": text, "label": 1, **{c: f"{text} {c}" for c in "abcd"}}
    for folder, pair in ((tiny_causal, ("a",)), (tiny_encoder, ("a", "a"))):
        info = describe(str(folder))
        tokenizer = load_tokenizer(info)
        special = [
            tokenizer.convert_tokens_to_ids(t) for t in ("[SEP]", "[CLS]", "[MASK]", "[PAD]")
        ]

        def found(ids: list[int], special: list[int] = special) -> list[int]:
            return [i for i in ids if i in special]

        encoded = encode([row], TASKS.get("psychol"), tokenizer, info.kind, 150)
        for prompt in encoded.prompts:
            assert found(prompt) == found(tokenizer(*pair)["input_ids"])
        assert not any(found(answer) for answers in encoded.answers for answer in answers)
        (block,) = cut_blocks(text, tokenizer, 64, scored=True, kind=info.kind)
        assert not found(block[1:])
