"""A tiny random model of each family that the installed transformers lists."""

from __future__ import annotations

from typing import Any, Literal

import torch
import transformers as hf
from transformers.models.auto import modeling_auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

Kind = Literal["causal", "encoder"]
KINDS: tuple[Kind, ...] = ("causal", "encoder")
CONTEXT = 128
LARGEST = 3_000_000  # weights: a family above that has a part that no size here makes small

_SIZES = {
    32: "hidden_size d_model n_embd dim emb_dim embed_dim word_embed_proj_dim embedding_dim",
    16: "embedding_size kv_lora_rank q_lora_rank sliding_window window_size attention_window_size "
    "attention_chunk_size local_attention entity_emb_size laurel_rank hidden_size_per_layer_input "
    "gated_norm_rank router_hidden_size pronunciation_embed_dim shape_embed_dim adapter_rank",
    2: "num_hidden_layers n_layer n_layers num_layers encoder_layers decoder_layers "
    "num_encoder_layers num_decoder_layers num_key_value_heads num_kv_heads num_experts_per_tok "
    "num_experts_per_token num_selected_experts moe_topk linear_num_key_heads num_blocks "
    "num_hash_functions",
    4: "num_attention_heads n_head n_heads num_heads encoder_attention_heads "
    "decoder_attention_heads num_encoder_attention_heads num_decoder_attention_heads num_experts "
    "num_local_experts n_routed_experts moe_num_experts linear_num_value_heads index_n_heads "
    "linear_num_heads mamba_dt_rank time_step_rank rotary_dim num_mem_blocks zero_expert_num",
    8: "head_dim d_kv d_head qk_rope_head_dim qk_nope_head_dim v_head_dim index_head_dim "
    "linear_head_dim linear_key_head_dim linear_value_head_dim mamba_n_heads mamba_d_head "
    "mamba_d_state mamba_chunk_size chunk_size state_size",
    48: "intermediate_size ffn_dim d_ff n_inner encoder_ffn_dim decoder_ffn_dim d_inner "
    "moe_intermediate_size hidden_dim dim_ff shared_expert_intermediate_size ffn_hidden_size "
    "expert_ffn_hidden_size shared_intermediate_size shared_experts_intermediate_size",
    1: "n_group topk_group num_expert_group n_groups mamba_n_groups mamba_ngroups "
    "first_k_dense_replace n_shared_experts num_shared_experts",
    CONTEXT: "max_position_embeddings n_positions n_ctx max_seq_len max_target_positions "
    "index_topk",
    200: "entity_vocab_size shape_vocab_size pronunciation_vocab_size vocab_size_per_layer_input",
}
_LINEAR = ["linear_attention", "full_attention"]
_OWN: dict[str, dict[str, Any]] = {  # what the sizes above do not make fit
    "bamba": {"attn_layer_indices": [1]},
    "cohere_compass_text": {"layer_types": ["sliding_attention", "full_attention"]},
    "deepseek_v2": {"num_experts_per_tok": 2},
    "dots1": {"n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2},
    "ernie4_5_moe": {"moe_k": 2},
    "esmc": {"num_key_value_heads": 4},
    "falcon_h1": {"mamba_d_ssm": 64},
    "funnel": {"block_sizes": [1, 1], "block_repeats": [1, 1]},
    "gemma3n_text": {"num_kv_shared_layers": 0, "altup_num_inputs": 2, "intermediate_size": 48},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "granitemoehybrid": {"layer_types": _LINEAR},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "layoutlmv3": {"coordinate_size": 4, "shape_size": 8},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"]},
    "lfm3": {"layer_types": ["conv", "sliding_attention"]},
    "lilt": {"hidden_size": 48},
    "mamba2": {"num_heads": 8, "expand": 2},
    "nemotron": {"num_key_value_heads": 4},
    "nemotron_h": {"layers_block_type": ["mamba", "attention"]},
    "qwen4_exp_text": {"ple_embed_dim": 32, "hc_lowrank": 8},
    "recurrent_gemma": {"block_types": ["recurrent", "attention"], "lru_width": 32},
    "reformer": {
        "axial_pos_shape": [8, 16],
        "axial_pos_embds_dim": [16, 16],
        "attention_head_size": 8,
        "is_decoder": True,
        "attn_layers": ["local", "lsh"],
    },
    "squeezebert": {"embedding_size": 32},
    "t5": {"decoder_start_token_id": 0},
    "xlstm": {"num_heads": 4, "chunk_size": 16},
    "zaya": {"num_experts_per_tok": 1},
    "zamba": {"layers_block_type": ["linear_attention", "hybrid"], "attention_head_dim": 16},
    "zamba2": {"layers_block_type": ["linear_attention", "hybrid"], "attention_head_dim": 16},
    "xmod": {"languages": ["en_XX"], "default_language": "en_XX"},
}
_DECODERS = {"bert", "bert-generation", "big_bird", "camembert", "data2vec-text", "electra"}
_DECODERS |= {"ernie", "megatron-bert", "rembert", "roberta", "roberta-prelayernorm", "roc_bert"}
_DECODERS |= {"roformer", "xlm-roberta", "xlm-roberta-xl", "xmod"}


def families(kind: Kind) -> list[str]:
    """The model types with a class of this kind."""
    lists = {
        "causal": modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        "encoder": modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
    }
    return sorted(lists[kind])


def is_masked(family: str) -> bool:
    """Whether a classifier of this family is pretrained with a masked-LM head."""
    both = modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    return family in both and family in families("encoder")


def tiny(family: str, kind: Kind, tokenizer: Any, **given: Any) -> Any:
    """A network of the family, its weights far from uniform; raises whatever it raises."""
    known = CONFIG_MAPPING[family]()
    named = known.to_dict()
    sizes: dict[str, Any] = {
        key: size
        for size, keys in _SIZES.items()
        for key in keys.split()
        if named.get(key) is not None or (key in named and key in ("sliding_window", "head_dim"))
    }
    if "linear_attention" in (named.get("layer_types") or ()):
        sizes["layer_types"] = _LINEAR
    if "kv_lora_rank" in sizes:
        sizes["num_key_value_heads"] = 4
    sizes |= {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    end = tokenizer.eos_token_id or tokenizer.sep_token_id
    sizes["bos_token_id"] = tokenizer.bos_token_id
    sizes["eos_token_id"] = end if "eos_token_id" in named else None
    if kind == "causal" and family in _DECODERS:
        sizes["is_decoder"] = True
    sizes |= _OWN.get(family, {}) | given
    config = type(known)(**{key: value for key, value in sizes.items() if value is not None})
    make: Any = hf.AutoModelForCausalLM
    if kind == "encoder":
        has_head = is_masked(family)
        make = hf.AutoModelForMaskedLM if has_head else hf.AutoModelForSequenceClassification
    with torch.device("meta"):
        weights = sum(p.numel() for p in make.from_config(config).parameters())
    if weights > LARGEST:
        raise ValueError(f"{weights:,} weights: it has parts that a small configuration leaves big")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = make.from_config(config)
        for parameter in net.parameters():  # far from uniform, or every mistake looks like rounding
            parameter.data += 0.05 * torch.randn_like(parameter)
    net.eval()
    ids = torch.arange(5, 45)[None]
    ids[0, -1] = end  # where BART's head reads
    net(input_ids=ids)
    return net
