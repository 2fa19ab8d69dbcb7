"""How deep below a network's output each of its parameters lies, counted in blocks."""

from __future__ import annotations

from torch import nn

from bench.core.errors import CellError


def depths(net: nn.Module) -> dict[str, int]:
    """The depth of every parameter of a network of L blocks: 0 above the blocks (final norm,
    pooler, head), 1 in the top block, L in the bottom block, L + 1 in the embeddings.

    The blocks are the longest list of modules of one class. Embeddings are the lookup tables
    outside of it and what stands in one module with them (BERT's norm and projection); a table
    that is also the output layer (tied) counts as embeddings.

    Raises:
        CellError: no such list.
    """
    path, blocks = _blocks(net)
    below = [f"{prefix}." for prefix in _embeddings(net, path)]
    top = len(blocks)
    found = {}
    for name, _ in net.named_parameters():
        if name.startswith(f"{path}."):
            found[name] = top - int(name[len(path) + 1 :].split(".")[0])
        else:
            found[name] = top + 1 if name.startswith(tuple(below)) else 0
    return found


def _blocks(net: nn.Module) -> tuple[str, nn.ModuleList]:
    """The longest list of modules of one class, the first of equals, and its name."""
    lists = [
        (path, module)
        for path, module in net.named_modules()
        if isinstance(module, nn.ModuleList) and len({type(block) for block in module}) == 1
    ]
    if not lists:
        raise CellError(f"{type(net).__name__} has no list of blocks of one class")
    return max(lists, key=lambda entry: len(entry[1]))


def _embeddings(net: nn.Module, blocks: str) -> list[str]:
    """Names of the lookup tables outside the blocks, or of the modules that are made for them."""
    found = []
    for path, module in net.named_modules():
        if isinstance(module, nn.Embedding) and not path.startswith(f"{blocks}."):
            parent = path.rpartition(".")[0]
            found.append(path if f"{blocks}.".startswith(f"{parent}.") else parent)
    return found
