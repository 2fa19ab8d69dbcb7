"""What a model's name stands for before it is loaded: its place, its kind, its files' hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Set
from pathlib import Path
from typing import Any

from bench.cells.cell import ModelInfo, ModelKind
from bench.core.errors import BenchError
from bench.core.hub import hub_access

_SUFFIXES = {".json", ".safetensors", ".txt", ".model"}
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")
_ENCODER_HEADS = ("ForMaskedLM", "ForPreTraining", "ForSequenceClassification")
SMALL_HIDDEN_SIZE = 256


def describe(name: str, kind: ModelKind | None = None) -> ModelInfo:
    """What `name` (an embedded model, a folder or a hub id) stands for; `kind` overrides.

    Raises:
        BenchError: no such folder, no network, no safetensors, no tokenizer, or an architecture
            that is neither a causal LM nor an encoder.
    """
    from tasks.micro import MODELS, TWINS

    folder = MODELS.get(name, Path(name))
    if folder.is_dir():
        revision, title = None, name if name in MODELS else folder.resolve().name
    elif name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise BenchError(
            f"model {name!r} is no folder here, no hub id (owner/name), "
            f"and none of the embedded models: {', '.join(MODELS) or 'none'}."
        )
    else:
        folder = _hub_folder(name)
        revision, title = folder.name, name
    config = _read_config(folder)
    if not any((folder / file).is_file() for file in _TOKENIZER_FILES):
        raise BenchError(f"model {name}: no tokenizer ({', '.join(_TOKENIZER_FILES)}) in {folder}.")
    if revision is None and not list(folder.glob("*.safetensors")):
        raise BenchError(f"model {name}: no *.safetensors in {folder} (pickles are not loaded).")
    return ModelInfo(
        name=title,
        source=str(folder) if revision is None else name,
        revision=revision,
        kind=_kind_of(config, name, kind),
        hash=_hash_folder(folder, _SUFFIXES) if revision is None else f"{name}@{revision}",
        tokenizer=_hash_folder(folder, _SUFFIXES - {".safetensors"}),
        hidden_size=_number(config, "hidden_size", "n_embd", "dim"),
        twin=TWINS.get(name),
    )


def default_rate(info: ModelInfo) -> float:
    """5e-4 for a hidden size up to 256, otherwise (unknown, too) the 2e-5 usual from BERT up."""
    return 5e-4 if 0 < info.hidden_size <= SMALL_HIDDEN_SIZE else 2e-5


def _hub_folder(name: str) -> Path:
    """The cached snapshot folder of a hub model, with its configuration and tokenizer files."""
    with hub_access(f"model {name}", "give a local folder with --model FOLDER"):
        from huggingface_hub import snapshot_download

        patterns = ["config.json", *_TOKENIZER_FILES]
        return Path(snapshot_download(name, allow_patterns=patterns))


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BenchError(f"model folder {folder}: config.json is unreadable ({error}).") from None
    if not isinstance(config, dict):
        raise BenchError(f"model folder {folder}: config.json is not an object.")
    return config


def _number(config: dict[str, Any], *keys: str) -> int:
    """The first of `keys` that the configuration has; 0 for none."""
    return int(next((config[key] for key in keys if config.get(key)), 0))


def _kind_of(config: dict[str, Any], name: str, kind: ModelKind | None) -> ModelKind:
    """`kind` where it is given and can be, else what the configuration's architecture says."""
    for architecture in config.get("architectures") or ():
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
