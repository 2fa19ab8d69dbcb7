"""What a model's files show before they are loaded: that they are damaged, of a kind that cannot be
used, or do what they may not (run code, load kernels, name files that lie elsewhere); and what its
head says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError
from bench.core.text import printable

_LARGEST = {
    **dict.fromkeys(("num_hidden_layers", "num_layers", "n_layer", "n_layers"), 1000),
    **dict.fromkeys(("num_attention_heads", "num_key_value_heads", "n_head", "n_heads"), 1 << 14),
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "dim", "embedding_size"), 1 << 20),
    "num_labels": 1 << 16,
    **dict.fromkeys(("intermediate_size", "n_inner", "d_ff", "vocab_size"), 1 << 28),
}
"""Sizes -> far more than any model has: a network of such a size is never built."""
_SINGLE = ("vocab_size", "hidden_size")  # whatever the layers differ in
_MASKED_HEADS = ("ForMaskedLM", "ForPreTraining", "WithLMHeadModel")
_DISCRIMINATORS = ("Electra", "Funnel")  # whose ForPreTraining tells replaced tokens, no words
_SEQ2SEQ = (
    "t5",
    "mt5",
    "umt5",
    "longt5",
    "nllb",
    "fsmt",
    "bart",
    "mbart",
    "pegasus",
    "marian",
    "led",
    "m2m_100",
    "switch",
)
_SENSES = (
    *("ForImage", "ForMaskedImage", "ForObject", "ForSemantic", "ForVideo", "ForDepth", "ViTModel"),
    *("ForAudio", "ForCTC", "ForSpeech", "ForXVector", "CLIPModel"),
)
TOKEN_FILES = ("tokenizer_config.json", "special_tokens_map.json")
_UNMERGED = ("PROMPT_TUNING", "MULTITASK_PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING")


def check_config(config: dict[str, Any], name: str, trusted: bool) -> None:
    """Raises BenchError where a configuration asks for a kernel from the hub, which is code, and
    the model is not trusted."""
    for key, value in _implementations(config):
        if "/" in value and not trusted:
            raise BenchError(
                f"model {name}: {key} = {printable(value)!r} in config.json loads code from the "
                "hub; --trust-remote-code allows that."
            )


def check_folder(folder: Path, name: str) -> None:
    """Raises BenchError where a folder's weights are damaged, or lie elsewhere, so that its hash
    would not tell what is loaded."""
    for path in sorted(folder.glob("*.safetensors")):
        if reason := _damage(path):
            raise BenchError(f"model {name}: {path} {reason}; fetch it anew.")
    for path in sorted(folder.glob("*.safetensors.index.json")):
        for shard in _shards(path, name):
            if not isinstance(shard, str) or Path(shard).name != shard:
                shown = printable(str(shard))
                raise BenchError(f"model {name}: {path.name} names {shown!r}, no file beside it.")
            if not (folder / shard).is_file():
                raise BenchError(f"model {name}: {path.name} names {shard!r}, which is not there.")


def _shards(path: Path, name: str) -> set[Any]:
    try:
        return set(json.loads(path.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise BenchError(f"model {name}: {path.name} cannot be read ({reason}).") from None


def _implementations(config: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Which code the parts of a network are computed by, where a configuration says so."""
    for key, value in config.items():
        named = "_implementation" in key
        if named and isinstance(value, str):
            yield key, value
        elif isinstance(value, dict):
            texts = ((key, v) for v in value.values() if named and isinstance(v, str))
            yield from texts
            yield from _implementations(value)


def refuse_adapter(folder: Path, name: str) -> None:
    """Raises BenchError for what is no model but an adapter to one."""
    path = folder / "adapter_config.json"
    if not path.is_file():
        return
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        kind, base = (
            printable(str(found.get(key))) for key in ("peft_type", "base_model_name_or_path")
        )
        head = "SequenceClassification" if found.get("task_type") == "SEQ_CLS" else "CausalLM"
    except (OSError, ValueError, AttributeError, RecursionError):
        raise BenchError(
            f"model {name} is no model but an adapter, and {path} is damaged."
        ) from None
    way = (
        f"peft.AutoPeftModelFor{head}.from_pretrained({name!r}).merge_and_unload()"
        ".save_pretrained(FOLDER) in Python merges the two; put the base's tokenizer beside them"
    )
    if kind in _UNMERGED:
        way = "an adapter of this kind cannot be merged: choose the base"
    raise BenchError(f"model {name} is no model but an adapter ({kind}) of {base!r}; {way}.")


def refuse_encoder_decoder(config: dict[str, Any], name: str) -> None:
    """Raises BenchError for a model that reads with one network and writes with another."""
    names = config.get("architectures") or []
    if any(str(architecture).endswith("ForCausalLM") for architecture in names):
        return  # its decoder alone
    known = str(config.get("model_type", "")).startswith(_SEQ2SEQ)
    both = any(str(architecture).endswith("EncoderDecoderModel") for architecture in names)
    if config.get("is_encoder_decoder") or known or both:
        what = printable(", ".join(map(str, names)) or str(config.get("model_type")))
        raise BenchError(
            f"model {name} is an encoder-decoder ({what}), which is not supported: choose a causal "
            "LM or an encoder."
        )


def refuse_other_senses(config: dict[str, Any], name: str) -> None:
    """Raises BenchError for a model of images or sounds, which no --as makes one of text."""
    for architecture in map(str, config.get("architectures") or ()):
        if any(sense in architecture for sense in _SENSES):
            raise BenchError(
                f"model {name} reads images or sounds ({printable(architecture)}), which is not "
                "supported: choose a causal LM or an encoder."
            )


def check_sizes(config: dict[str, Any], name: str) -> None:
    """Raises BenchError for a size that is no number, or that no network has."""
    parts = [config, *(value for value in config.values() if isinstance(value, dict))]
    for part in parts:
        for key, largest in _LARGEST.items():
            value: Any = part.get(key)
            left_out = value is None or isinstance(value, list)  # a list has one for each layer
            if key not in part or (left_out and key not in _SINGLE):
                continue
            whole = isinstance(value, int) and not isinstance(value, bool)
            if not whole or not 0 < value <= largest:
                shown = printable(str(value)[:40])
                raise BenchError(
                    f"model {name}: config.json has {key} = {shown!r}; it must be a whole number "
                    f"from 1 to {largest}."
                )


def _damage(path: Path) -> str | None:
    """What is wrong with a file of safetensors, by its header and its length."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        if start == b"version ":
            return "is a pointer of Git LFS in place of the weights (git lfs pull)"
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > size - 8:
            return f"is cut, or no safetensors: it has {size} bytes"
        try:
            header = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for key, entry in header.items() if key[:2] != "__"]
        except (ValueError, LookupError, AttributeError, TypeError, RecursionError):
            return "has no header that can be read"
    wanted = 8 + length + max(ends, default=0)
    return None if size == wanted else f"has {size} bytes in place of {wanted}"


def predicts_words(config: dict[str, Any]) -> bool:
    """Whether an encoder's checkpoint has the head that predicts masked words, as far as its
    architecture tells."""
    return any(
        str(name).endswith(_MASKED_HEADS)
        and not (str(name).startswith(_DISCRIMINATORS) and str(name).endswith("ForPreTraining"))
        for name in config.get("architectures") or ()
    )


def head_labels(config: dict[str, Any]) -> tuple[str, ...]:
    """The names of a classification head's labels, in the order of its outputs; none where it
    has no head."""
    names = config.get("architectures") or ()
    if not any(str(name).endswith("ForSequenceClassification") for name in names):
        return ()
    given = config.get("id2label")
    labels = {str(k): printable(str(v)) for k, v in given.items()} if type(given) is dict else {}
    count = len(labels) or config.get("num_labels") or 2  # as transformers has it
    return tuple(labels.get(str(i), f"LABEL_{i}") for i in range(count))


def names_tokens(folder: Path, *names: str) -> bool:
    """Whether the tokenizer's files name one of these special tokens; some tokenizers know theirs
    without that."""
    return any(_token_named(folder / file, names) for file in TOKEN_FILES)


def _token_named(path: Path, names: tuple[str, ...]) -> bool:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return any(found.get(name) for name in names)
    except (OSError, ValueError, AttributeError, RecursionError):
        return False
