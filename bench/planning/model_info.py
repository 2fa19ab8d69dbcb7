"""What a model's name stands for before it is loaded: its place, its kind, its files' hash."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Set
from pathlib import Path
from typing import Any

from bench.cells.cell import ModelInfo, ModelKind
from bench.core.errors import BenchError, CellError, meant
from bench.core.hub import hub_access
from bench.core.text import printable
from bench.planning import model_files
from bench.rows.source import embedded_models

_SUFFIXES = {".json", ".safetensors", ".txt", ".model"}
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")
_ENCODER_HEADS = ("ForMaskedLM", "ForPreTraining", "ForSequenceClassification")
SMALL_HIDDEN_SIZE = 256
_TITLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")
# how the models begin that the hub once had without an owner, as papers name them -> the owner
_OWNERS = {
    "albert-": "albert",
    "bert-": "google-bert",
    "camembert-base": "almanach",
    "distil": "distilbert",
    "gpt2": "openai-community",
    "openai-gpt": "openai-community",
    "roberta-": "FacebookAI",
    "t5-": "google-t5",
    "xlm-": "FacebookAI",
    "xlnet-": "xlnet",
}


def describe(
    name: str, kind: ModelKind | None = None, trusted: bool = False, weightless: bool = False
) -> ModelInfo:
    """What `name` stands for: an embedded model, a folder or a hub id, each also as TITLE=NAME,
    which is then called TITLE. `kind` overrides what the configuration says; the Python code that
    lies beside the weights of a `trusted` one may run; a folder may be `weightless`.

    Raises:
        BenchError: no such folder, no network, no safetensors or damaged ones, no tokenizer or
            one without the tokens that a text needs, an architecture that is neither a causal LM
            nor an encoder, or files that would load others from elsewhere.
    """
    title, name = _titled(name)
    embedded = embedded_models()
    folder = embedded[name].folder if name in embedded else Path(name).expanduser()
    revision = None
    if folder.is_dir():
        title = title or (name if name in embedded else folder.resolve().name)
    else:
        name, folder = _from_hub(name)
        title, revision = title or name, folder.name
    model_files.refuse_adapter(folder, name)
    config = _read_config(folder)
    model_files.check_sizes(config, name)
    if not any((folder / file).is_file() for file in _TOKENIZER_FILES):
        raise BenchError(f"model {name}: no tokenizer ({', '.join(_TOKENIZER_FILES)}) in {folder}.")
    if revision is None and not weightless and not list(folder.glob("*.safetensors")):
        raise BenchError(f"model {name}: no *.safetensors in {folder} (pickles are not loaded).")
    model_files.check_config(config, name, trusted)
    if revision is None:
        model_files.check_folder(folder, name)
    suffixes = _SUFFIXES | {".py"} if trusted else _SUFFIXES
    info = ModelInfo(
        name=printable(title),
        source=str(folder) if revision is None else name,
        revision=revision,
        kind=_kind_of(config, name, kind),
        hash=_hash_folder(folder, suffixes) if revision is None else f"{name}@{revision}",
        tokenizer=_hash_folder(folder, _SUFFIXES - {".safetensors"}),
        hidden_size=_number(config, "hidden_size", "n_embd", "dim"),
        twin=embedded[name].twin if name in embedded else None,
        trusted=trusted,
        predicts_words=model_files.predicts_words(config),
        head=model_files.head_labels(config),
    )
    _check_tokens(info, folder)
    return info


def _check_tokens(info: ModelInfo, folder: Path) -> None:
    """Raises BenchError where the tokenizer has no token to pad with, or a causal LM's none to
    begin a text with."""
    starts = info.kind == "encoder" or model_files.names_tokens(folder, "bos_token", "eos_token")
    if starts and model_files.names_tokens(folder, "pad_token", "eos_token", "unk_token"):
        return
    from bench.network.generation import start_tokens
    from bench.network.loading import load_tokenizer

    tokenizer = load_tokenizer(info)
    try:
        if info.kind == "causal":
            start_tokens(tokenizer)
    except CellError as error:
        raise BenchError(
            f"model {info.name}: {error}: name one in tokenizer_config.json (bos_token)."
        ) from None


def default_rate(info: ModelInfo) -> float:
    """5e-4 for a hidden size up to 256, otherwise (unknown, too) the 2e-5 usual from BERT up."""
    return 5e-4 if 0 < info.hidden_size <= SMALL_HIDDEN_SIZE else 2e-5


def _titled(given: str) -> tuple[str | None, str]:
    """TITLE and NAME of "TITLE=NAME"; no title where there is none, as in a folder `out/lr=1`."""
    title, equals, name = given.partition("=")
    if equals and name and _TITLE.fullmatch(title) and not Path(given).is_dir():
        return title, name
    return None, given


def _from_hub(name: str) -> tuple[str, Path]:
    """A model's id on the hub, with its owner where `name` lacks a known one, and the cached
    snapshot folder with its configuration and tokenizer files."""
    not_here = f"no folder here and none of the embedded models {', '.join(embedded_models())}"
    if not _HUB_ID.fullmatch(name):
        raise BenchError(
            f"model {name!r} is {not_here}, and no hub id (owner/name). A name of your own for it, "
            "in front of a =, may have letters, digits and . _ + - only."
        )
    owner = next((o for start, o in _OWNERS.items() if name.startswith(start)), None)
    found = f"{owner}/{name}" if owner and "/" not in name else name
    near = meant(name, embedded_models()).replace(" D", "; d")
    bare = "" if "/" in name else f" ({name!r} is {not_here}{near})"
    with hub_access(f"model {found}{bare}", "give a local folder with --model FOLDER"):
        from huggingface_hub import snapshot_download

        patterns = ["config.json", "adapter_config.json", *model_files.TOKEN_FILES]
        patterns += _TOKENIZER_FILES
        return found, Path(snapshot_download(found, allow_patterns=patterns))


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BenchError(f"model folder {folder}: config.json is unreadable ({error}).") from None
    if not isinstance(config, dict):
        raise BenchError(f"model folder {folder}: config.json is not an object.")
    if not isinstance(names := config.get("architectures") or [], list):
        raise BenchError(
            f"model folder {folder}: config.json has architectures = {names!r}; it must be a list."
        )
    return config


def _number(config: dict[str, Any], *keys: str) -> int:
    """The first of `keys` that the configuration has; 0 for none."""
    return int(next((config[key] for key in keys if config.get(key)), 0))


def _kind_of(config: dict[str, Any], name: str, kind: ModelKind | None) -> ModelKind:
    """`kind` where it is given and can be, else what the configuration's architecture says."""
    model_files.refuse_encoder_decoder(config, name)
    model_files.refuse_other_senses(config, name)
    for architecture in map(str, config.get("architectures") or ()):
        if kind == "causal" and architecture.endswith(_ENCODER_HEADS):
            raise BenchError(f"model {name} is an encoder ({architecture}), no causal LM.")
        if kind is not None:
            return kind
        if architecture.endswith(("ForCausalLM", "LMHeadModel")):
            return "causal"
        if architecture.endswith(_ENCODER_HEADS):
            return "encoder"
    if kind is not None:
        return kind
    raise BenchError(
        f"model {name}: architectures {config.get('architectures')} in config.json is neither a "
        "causal LM nor an encoder; say which with --as causal or --as encoder."
    )


def _hash_folder(folder: Path, suffixes: Set[str]) -> str:
    """sha256 over the names and contents of the files with these suffixes."""
    total = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix in suffixes and path.name != "manifest.json":
            with path.open("rb") as file:
                total.update(f"{path.name}\0".encode())
                total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()
