"""What accelerate's launcher asks of a run, which it says in environment variables."""

from __future__ import annotations

import os

from bench.core.errors import BenchError

_ASKED = "ACCELERATE_USE_FSDP"
_TAKEN = "FORGETTING_BENCH_SHARDS"  # by this suite
_INSTEAD = {
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed is not supported: --use_fsdp cuts weights as well",
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM is not supported: --use_fsdp cuts weights as well",
    "FSDP_OFFLOAD_PARAMS": "FSDP: weights are not offloaded; leave --fsdp_offload_params out",
    "FSDP_ACTIVATION_CHECKPOINTING": "FSDP: activations are recomputed by --set "
    "train.checkpointing=true; leave --fsdp_activation_checkpointing out",
}


def shards() -> bool:
    """Whether weights are cut over the processes while training: `accelerate launch --use_fsdp`.

    The suite does it itself (`bench.training.sharding`), on a CPU as on GPUs. From the first call
    on accelerate and transformers are not told: one would do nothing on a CPU and say nothing, the
    other would load weights in the first process alone.
    """
    if _on(_ASKED) and "WORLD_SIZE" in os.environ:
        os.environ[_TAKEN] = "true"
        del os.environ[_ASKED]
    return _on(_TAKEN)


def check_launcher() -> list[str]:
    """What a plan is to say of what accelerate's launcher asked for.

    Raises:
        BenchError: it asks for what the suite does not do.
    """
    for name, reason in _INSTEAD.items():
        if _on(name):
            raise BenchError(f"{reason}.")
    if not shards():
        return []
    count = os.environ.get("WORLD_SIZE", "1")
    return [
        f"FSDP: weights, gradients, moments, θ0 and F are cut over the processes ({count}) while a "
        "cell trains, by the suite itself, for accelerate would do nothing on a CPU"
    ]


def _on(name: str) -> bool:
    return os.environ.get(name, "false").lower() in ("true", "1")
