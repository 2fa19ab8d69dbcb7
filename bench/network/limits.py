"""What a configuration says of lengths and sizes, each read with bounds and a default."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeGuard

NO_LIMIT = 1 << 30
_LEAST = 8  # tokens: a context below that is no length but a mistake or a sign (-1: none)
_CONTEXTS = ("max_position_embeddings", "n_positions", "max_seq_len", "max_target_positions")
_WINDOWS = ("window", "chunk", "index_topk")


def context_length(net: Any) -> int:
    """The longest input that the network was made for, in tokens; NO_LIMIT where none is named.

    RoBERTa and its relatives count positions from behind the pad id, which their table of
    positions tells: its rows up to there are no token's.
    """
    config = net.config.get_text_config()
    named = (getattr(config, key, None) for key in _CONTEXTS)
    found = next((x for x in named if _is_count(x) and x >= _LEAST), NO_LIMIT)
    return min(found, *_table_lengths(net), NO_LIMIT)


def attention_window(config: Any) -> int:
    """The smallest number of tokens that some layer looks back, or cuts a text into, as far as
    the configuration says; NO_LIMIT where all layers look at everything."""
    values = config.get_text_config().to_dict()
    return min(_windows(values), default=NO_LIMIT)


def vocabulary(config: Any) -> int:
    """The number of tokens that the network knows; 0 where the configuration does not say."""
    size = getattr(config.get_text_config(), "vocab_size", 0)
    return size if _is_count(size) else 0


def cached_bytes(config: Any) -> int:
    """Bytes of a token's keys and values in all layers, in float32; 0 where the configuration does
    not say."""
    known = config.get_text_config()
    layers = getattr(known, "num_hidden_layers", 0)
    if not _is_count(layers):
        return 0
    if getattr(known, "per_layer_attributes", None):  # no two layers need be alike
        return sum(_cached_in_layer(known.per_layer_config[i]) for i in range(layers))
    return layers * _cached_in_layer(known)


def _cached_in_layer(config: Any) -> int:
    heads, hidden = (getattr(config, name, 0) for name in ("num_attention_heads", "hidden_size"))
    if not (_is_count(heads) and _is_count(hidden) and heads > 0):
        return 0
    pairs, width = (getattr(config, n, None) for n in ("num_key_value_heads", "head_dim"))
    return 2 * 4 * (pairs or heads) * (width or hidden // heads)


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _table_lengths(net: Any) -> Iterator[int]:
    """Tokens that a table of positions with a row for padding has room for."""
    for name, module in net.named_modules():
        padding, table = getattr(module, "padding_idx", None), getattr(module, "weight", None)
        named = "position" in name.rpartition(".")[2]
        if named and padding is not None and table is not None:
            yield len(table) - padding - 1


def _windows(values: dict[Any, Any]) -> Iterator[int]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _windows(value)
        elif any(word in str(key) for word in _WINDOWS) and "layer" not in str(key):
            several = value if isinstance(value, list | tuple) else [value]
            yield from (x for x in several if _is_count(x) and x > 0)
