"""Texts are taken as they stand: one that spells a special token (`[SEP]`) holds no such token."""

from __future__ import annotations

import json
from typing import Any

_HIDDEN = "\uffff"  # no character: what stands behind it is found in no text


def take_literally(tokenizer: Any) -> None:
    """Special tokens come from the tokenizer's template alone, never from a text."""
    if not tokenizer.is_fast:
        # some (ESM's) know their whole vocabulary by the list that this setting switches off
        plain = "the cat saw a dog"
        usual = tokenizer(plain)["input_ids"]
        tokenizer.split_special_tokens = True
        tokenizer.split_special_tokens = tokenizer(plain)["input_ids"] == usual
        return
    core = tokenizer.backend_tokenizer
    tokenizer.split_special_tokens = core.encode_special_tokens = True
    special = {t.content: i for i, t in tokenizer.added_tokens_decoder.items() if t.special}
    special |= dict(zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True))
    if found := {name for name, i in special.items() if _is_read(core, name, i)}:
        _hide(core, found)


def _is_read(core: Any, name: str, i: int) -> bool:
    """Whether the vocabulary itself, beside the list of added tokens, has the name as a piece."""
    return any(
        i in core.encode(text, add_special_tokens=False).ids for text in (f"a {name} b", f"a{name}")
    )


def _hide(core: Any, names: set[str]) -> None:
    """Spell these pieces of the vocabulary in a way that no text does; their ids stay."""
    from tokenizers import Tokenizer

    written = json.loads(core.to_str()) | {"added_tokens": [], "post_processor": None}
    model = written["model"]
    names = names - {model.get("unk_token")}  # which stands for itself: it is what is not known
    if isinstance(model["vocab"], list):  # of (piece, score)
        model["vocab"] = [[_HIDDEN + p if p in names else p, s] for p, s in model["vocab"]]
    else:
        model["vocab"] = {_HIDDEN + p if p in names else p: i for p, i in model["vocab"].items()}
    core.model = Tokenizer.from_str(json.dumps(written)).model
