"""Models in memory: from a checkpoint, with their θ0; the weights of a sequence's stages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from bench.cells.cell import ModelInfo
from bench.core.errors import BenchError
from bench.core.files import atomic_write_tensors
from bench.network.limits import vocabulary
from bench.network.literal_text import take_literally

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass
class Loaded:
    """A model in memory. `base` maps the names of pretrained parameters to their values θ0, on
    the CPU; parameters without one (a new head) are not in it. Where `load` was told not to copy
    them they are the network's own tensors, which nobody may write into."""

    info: ModelInfo
    net: Any  # transformers.PreTrainedModel
    base: dict[str, Tensor]
    drawn: tuple[set[str], ...] = ()  # names of weights that were drawn at once, one after another

    @contextmanager
    def holding(self, values: Mapping[str, Tensor]) -> Iterator[None]:
        """Inside, the pretrained parameters have these values, and may change; afterwards all
        parameters have their own again, of which those that are θ0 are not copied meanwhile."""
        import torch

        parameters = dict(self.net.named_parameters())
        with torch.no_grad():
            own = {n: p.detach().clone() for n, p in parameters.items() if not self._is_base(n, p)}
            for name in self.base:
                parameters[name].copy_(values[name])
        try:
            yield
        finally:
            with torch.no_grad():
                for name, parameter in parameters.items():
                    parameter.copy_(own[name] if name in own else self.base[name])

    def put_back(self) -> None:
        """Let the parameters be the tensors of θ0 themselves again, on the CPU; whatever stood in
        their places is given up."""
        for name, parameter in self.pretrained():
            parameter.data = self.base[name]
        self.net.to("cpu").train().zero_grad(set_to_none=True)

    def draw_head(self, seed: int) -> None:
        """Draw what has no θ0 anew, as `load` draws it from this seed."""
        import torch

        with torch.random.fork_rng():
            torch.manual_seed(seed)
            for names in self.drawn:
                _new_head(self.net, names)

    def _is_base(self, name: str, value: Tensor) -> bool:
        """Whether a parameter is at its θ0."""
        return name in self.base and bool((value == self.base[name].to(value.device)).all())

    def pretrained(self) -> list[tuple[str, nn.Parameter]]:
        """The parameters that have a pretrained value, by name."""
        return [(n, p) for n, p in self.net.named_parameters() if n in self.base]


def load(
    info: ModelInfo,
    labels: int,
    head_seed: int,
    order: Sequence[int] | None = None,
    weights: str = "float32",
    copied: bool = True,
) -> Loaded:
    """Load a model with `weights` of this type of torch's. An encoder gets a head of `labels`
    outputs: a new one from `head_seed`, or with `order` that of its checkpoint, where output
    order[i] stands for label i. Unless `copied`, θ0 is the network's own tensors.

    Raises:
        BenchError: the checkpoint does not hold the weights of its own architecture, holds some
            that are no numbers, or is no causal LM though its configuration says so.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    options: dict[str, Any] = {**_place(info), "dtype": getattr(torch, weights)}
    factory = AutoModelForCausalLM
    if info.kind == "encoder":
        factory = AutoModelForSequenceClassification
        options["num_labels"] = labels
    with torch.random.fork_rng():
        torch.manual_seed(head_seed)
        net, missing, resized = _from_pretrained(factory, info, options)
        names = {name for name, _ in net.named_parameters()} if info.kind == "encoder" else set()
        head = {name for name in names if _stands_outside(net, name)}
        drawn = [missing | resized]
        if not head & missing:  # fine-tuned for this task, or for another one
            if order is None or resized:
                missing |= _new_head(net, head)
                drawn.append(head)
            else:
                _reorder(net, labels, order)
    if info.weights:
        put_stage(net, missing | head, info.weights, head_seed)
    lost = [name for name in missing if info.kind == "causal" or not _belongs_to_head(net, name)]
    if lost:
        raise BenchError(
            f"model {info.name}: the checkpoint lacks {len(lost)} weights of "
            f"{type(net).__name__}, {lost[0]} among them."
        )
    net.config.pad_token_id = _pad_id(info)  # where a decoder's head looks for the end of a row
    if info.kind == "causal":
        _require_causal(net, info)
    base = {
        name: value.detach().clone() if copied else value.detach()
        for name, value in net.named_parameters()
        if name not in missing
    }
    return Loaded(info, net, base, tuple(drawn))


def load_language_model(info: ModelInfo, weights: str = "float32") -> Any:
    """The model with the head it was pretrained with: causal, or masked for an encoder."""
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

    factory = AutoModelForCausalLM if info.kind == "causal" else AutoModelForMaskedLM
    options = {**_place(info), "dtype": getattr(torch, weights)}
    net, missing, resized = _from_pretrained(factory, info, options)
    if lost := sorted(missing | resized):
        raise BenchError(
            f"model {info.name}: no pretrained language-model head in the checkpoint "
            f"({lost[0]} is missing)."
        )
    if info.weights:
        put_stage(net, set(), info.weights, None)
    return net


def load_tokenizer(info: ModelInfo) -> Any:
    """The model's tokenizer, with a padding token that the model knows (the end token where it
    has none)."""
    from transformers import AutoConfig, AutoTokenizer
    from transformers.utils import logging

    logging.set_verbosity_error()
    try:
        config = AutoConfig.from_pretrained(info.source, **_place(info))
        tokenizer = AutoTokenizer.from_pretrained(info.source, **_place(info))
    except Exception as error:  # of as many kinds as there are mistakes in the files
        first = shorten(f"{type(error).__name__}: {error}", 300)
        raise BenchError(
            f"model {info.name}: its configuration or tokenizer cannot be loaded: {first}"
        ) from None
    known = vocabulary(config)
    for name in ("pad", "eos", "unk"):
        token, number = getattr(tokenizer, f"{name}_token"), getattr(tokenizer, f"{name}_token_id")
        if number is not None and (number < known or not known):
            tokenizer.pad_token = token
            take_literally(tokenizer)
            return tokenizer
    raise BenchError(
        f"model {info.name}: its tokenizer has no token to pad with among the {known} that the "
        "model knows."
    )


def save_stage(loaded: Loaded, head_seed: int, path: Path) -> None:
    """Write a model's weights for `ModelInfo.weights`: by name, those of a task's head (which
    another task's head shares its names with) with the head's seed, and all earlier heads."""
    from safetensors.torch import load_file

    earlier = load_file(loaded.info.weights) if loaded.info.weights else {}
    weights = {name: value for name, value in earlier.items() if "@" in name}
    for name, value in loaded.net.named_parameters():
        of_task = loaded.info.kind == "encoder" and _stands_outside(loaded.net, name)
        key = f"{name}@{head_seed}" if of_task or name not in loaded.base else name
        weights[key] = value.detach().cpu().contiguous()
    atomic_write_tensors(path, weights)


def put_stage(net: Any, head: set[str], path: Path, head_seed: int | None) -> None:
    """The inverse: a network gets the weights that it has there; `head` names its task's own."""
    import torch
    from safetensors.torch import load_file

    stored = load_file(path)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            value = stored.get(f"{name}@{head_seed}" if name in head else name)
            if value is not None:
                parameter.data = value.to(parameter, copy=True)  # θ0 may be what it was


@lru_cache
def _pad_id(info: ModelInfo) -> int:
    pad: int = load_tokenizer(info).pad_token_id
    return pad


def _require_causal(net: Any, info: ModelInfo) -> None:
    from bench.network.probes import is_causal

    if not is_causal(net):
        raise BenchError(
            f"model {info.name}: {type(net).__name__} is no causal LM: its logits change with "
            "later tokens (--as encoder may do)."
        )


def _place(info: ModelInfo) -> dict[str, Any]:
    """What every loader of transformers is told. Left out, it would ask at a prompt whether a
    model's own code may run."""
    return {"revision": info.revision, "trust_remote_code": info.trusted}


def _from_pretrained(factory: Any, info: ModelInfo, options: dict[str, Any]) -> Any:
    """(model in training mode, names of weights that the checkpoint lacks, and of those of an
    encoder's head that have another size there)."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        _refuse_giant(factory, info)
        net, report = factory.from_pretrained(
            info.source,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            **options,
        )
    except BenchError:
        raise
    except Exception as error:  # of the library's, the tokenizers', safetensors' and torch's kinds
        first = (str(error).strip().splitlines() or [""])[0]
        advice = " --trust-remote-code allows that." if "trust_remote_code" in str(error) else ""
        raise BenchError(
            f"model {info.name} cannot be loaded: {type(error).__name__}: {first}{advice}"
        ) from None
    resized = report["mismatched_keys"]
    for name, there, wanted in resized:
        if info.kind == "causal" or not _stands_outside(net, name):
            raise BenchError(
                f"model {info.name}: {name} has the sizes {list(there)} in the weights, and "
                f"{list(wanted)} by config.json."
            )
    for name, value in net.named_parameters():
        if not value.isfinite().all():
            raise BenchError(
                f"model {info.name}: {name} in {_file_of(info, name)} holds NaN or infinity."
            )
    return net.train(), set(report["missing_keys"]), {name for name, _, _ in resized}


def _refuse_giant(factory: Any, info: ModelInfo) -> None:
    """Raises BenchError where the configuration describes a network that a folder's weights are no
    sixteenth of, before it takes its memory."""
    import torch
    from transformers import AutoConfig

    files = [path.stat().st_size for path in Path(info.source).glob("*.safetensors")]
    if not files:  # on the hub
        return
    config = AutoConfig.from_pretrained(info.source, **_place(info))
    with torch.random.fork_rng(), torch.device("meta"):
        net = factory.from_config(config, trust_remote_code=info.trusted)
    count = sum(parameter.numel() for parameter in net.parameters())
    if count > 16 * max(sum(files), 1 << 20):
        raise BenchError(
            f"model {info.name}: config.json describes {count:,} weights, and its files of "
            f"weights have {sum(files):,} bytes."
        )


def _file_of(info: ModelInfo, name: str) -> Path | str:
    """The file that a weight was read from."""
    from safetensors import safe_open

    for path in sorted(Path(info.source).glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            if name in file.keys():  # noqa: SIM118, it is no mapping
                return path
    return f"the weights of {info.source}"


def _new_head(net: Any, names: set[str]) -> set[str]:
    """Draw the weights of these names, a head's, anew; returns them."""
    for module in map(net.get_submodule, {name.rpartition(".")[0] for name in names}):
        for part in (module, *module.parameters(recurse=False)):
            part._is_hf_initialized = False
    if names:
        net.initialize_weights()
    return names


def _reorder(net: Any, labels: int, order: Sequence[int]) -> None:
    """Let output i of the head be what output order[i] was."""
    outputs = [
        module
        for name, module in net.named_modules()
        if _stands_outside(net, name) and getattr(module, "out_features", None) == labels
    ]
    for parameter in outputs[-1].parameters():
        parameter.data = parameter.data[list(order)]


def _stands_outside(net: Any, name: str) -> bool:
    """Whether a weight, or a part, is none of the backbone's."""
    return not name.startswith(f"{net.base_model_prefix}.")


def _belongs_to_head(net: Any, name: str) -> bool:
    """Whether a weight stands outside the backbone (a pooler counts: masked LMs have none)."""
    return _stands_outside(net, name) or ".pooler." in name
