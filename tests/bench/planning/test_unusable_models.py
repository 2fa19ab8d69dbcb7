"""Models that cannot be used are told in one line, before anything is loaded."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from safetensors.torch import load_file, save_file

from bench.core.errors import BenchError
from bench.network.loading import load, load_tokenizer
from bench.planning.model_info import describe
from bench.render.plan import plan_text
from bench.selfcheck.world import plan_for
from tests.helpers.worlds import results


def copied(model: Path, to: Path, **config: Any) -> Path:
    """The model's folder with another configuration: these keys, or without those that are
    ..."""
    shutil.copytree(model, to)
    found = json.loads((to / "config.json").read_text()) | config
    kept = {key: value for key, value in found.items() if value is not ...}
    (to / "config.json").write_text(json.dumps(kept))
    return to


def refused(folder: Path, kind: Any = None) -> str:
    start = time.perf_counter()
    with pytest.raises(BenchError) as caught:
        describe(str(folder), kind)
    assert time.perf_counter() - start < 1
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(str(folder), "MODEL")


def saved(net: Any, model: Path, to: Path) -> Path:
    """A network beside the tokenizer of another model."""
    shutil.copytree(model, to, ignore=shutil.ignore_patterns("*.safetensors", "config.json"))
    net.save_pretrained(to)
    return to


SMALL = {"vocab_size": 64, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
SEQ2SEQ = {
    "t5": lambda: hf.T5ForConditionalGeneration(
        hf.T5Config(vocab_size=64, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    ),
    "bart": lambda: hf.BartForConditionalGeneration(bart()),
    "bart-mnli": lambda: hf.BartForSequenceClassification(bart()),
    "marian": lambda: hf.MarianMTModel(
        hf.MarianConfig(
            vocab_size=64, d_model=16, encoder_layers=1, decoder_layers=1,
            encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=16,
            decoder_ffn_dim=16, pad_token_id=0,
        )
    ),
}  # fmt: skip


def bart() -> hf.BartConfig:
    return hf.BartConfig(
        vocab_size=64, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16,
    )  # fmt: skip


@pytest.mark.parametrize("name", SEQ2SEQ)
@pytest.mark.parametrize("kind", [None, "causal", "encoder"])
def test_an_encoder_decoder_says_what_it_is(
    name: str, kind: str | None, tiny_causal: Path, tmp_path: Path
) -> None:
    net = SEQ2SEQ[name]()
    message = refused(saved(net, tiny_causal, tmp_path / "m"), kind)
    assert message == (
        f"model MODEL is an encoder-decoder ({type(net).__name__}), which is not supported: "
        "choose a causal LM or an encoder."
    )


def test_t5_without_a_word_of_it_in_its_configuration(tiny_causal: Path, tmp_path: Path) -> None:
    folder = saved(SEQ2SEQ["t5"](), tiny_causal, tmp_path / "saved")
    bare = copied(folder, tmp_path / "bare", architectures=..., is_encoder_decoder=...)
    assert "is an encoder-decoder (t5)" in refused(bare)


@pytest.mark.parametrize("kind", [None, "causal", "encoder"])
@pytest.mark.parametrize("name", ["ViTForImageClassification", "Wav2Vec2ForCTC", "CLIPModel"])
def test_a_model_of_images_or_sounds_is_not_told_to_try_a_kind(
    name: str, kind: Any, tiny_causal: Path, tmp_path: Path
) -> None:
    folder = copied(tiny_causal, tmp_path / "m", architectures=[name])
    assert refused(folder, kind) == (
        f"model MODEL reads images or sounds ({name}), which is not supported: choose a causal LM "
        "or an encoder."
    )


def test_the_decoder_of_one_is_a_causal_lm(tiny_causal: Path, tmp_path: Path) -> None:
    folder = saved(hf.BartForCausalLM(bart()), tiny_causal, tmp_path / "m")
    assert describe(str(folder)).kind == "causal"


@pytest.mark.parametrize("beside", [True, False], ids=["with config.json", "alone"])
def test_an_adapter_says_that_it_is_one_and_how_to_merge_it(
    beside: bool, tiny_causal: Path, tmp_path: Path
) -> None:
    peft = pytest.importorskip("peft")
    net = hf.AutoModelForCausalLM.from_pretrained(tiny_causal)
    folder = tmp_path / "adapter"
    config = peft.LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj"])
    adapted = peft.get_peft_model(net, config)
    torch.nn.init.ones_(
        adapted.base_model.model.model.layers[0].self_attn.q_proj.lora_B.default.weight
    )
    adapted.save_pretrained(folder)
    if beside:
        shutil.copy(tiny_causal / "config.json", folder)
    message = refused(folder)
    assert message.startswith(f"model MODEL is no model but an adapter (LORA) of '{tiny_causal}'; ")
    # what it says works
    merged = peft.AutoPeftModelForCausalLM.from_pretrained(folder).merge_and_unload()
    assert "AutoPeftModelForCausalLM.from_pretrained('MODEL').merge_and_unload()" in message
    merged = saved(merged, tiny_causal, tmp_path / "merged")
    loaded = load(describe(str(merged)), 2, 0)
    ids = torch.arange(5, 12)[None]
    adapted.eval()
    assert torch.allclose(loaded.net.eval()(ids).logits, adapted(ids).logits, atol=1e-5)


def test_an_adapter_that_cannot_be_merged(tmp_path: Path) -> None:
    config = {"peft_type": "PREFIX_TUNING", "base_model_name_or_path": "gpt2"}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    assert "(PREFIX_TUNING) of 'gpt2'; an adapter of this kind cannot be merged" in refused(
        tmp_path
    )
    (tmp_path / "adapter_config.json").write_text("[")
    assert "is damaged" in refused(tmp_path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hidden_size", "x"),
        ("hidden_size", -1),
        ("hidden_size", 1e300),
        ("num_hidden_layers", 10**9),
        ("num_attention_heads", 10**12),
        ("vocab_size", 0),
        ("vocab_size", None),
        ("hidden_size", [32]),
        ("intermediate_size", True),
        ("intermediate_size", {}),
    ],
)
def test_an_absurd_size(key: str, value: Any, tiny_causal: Path, tmp_path: Path) -> None:
    folder = copied(tiny_causal, tmp_path / "m", **{key: value})
    message = refused(folder)
    assert message.startswith(f"model MODEL: config.json has {key} = ")
    assert len(message) < 200
    nested = copied(tiny_causal, tmp_path / "nested", text_config={key: value})
    assert f"config.json has {key} = " in refused(nested)


@pytest.mark.parametrize(
    ("key", "value"),
    [("vocab_size", 10**8), ("intermediate_size", 10**8), ("max_position_embeddings", 10**9),
     ("type_vocab_size", 10**9)],
)  # fmt: skip
def test_a_network_far_larger_than_its_weights(
    key: str, value: int, tiny_encoder: Path, tmp_path: Path
) -> None:
    info = describe(str(copied(tiny_encoder, tmp_path / "m", **{key: value})))
    with pytest.raises(BenchError, match=r"^model m: config.json describes [0-9,]{12,} weights, "):
        load(info, 2, 0)


@pytest.mark.parametrize(
    "config",
    [{"model_type": "nope"}, {"layer_norm_eps": "x"}, {"pad_token_id": "x"}, {"id2label": [1]},
     {"max_position_embeddings": None}, {"rope_parameters": "x"}],
)  # fmt: skip
def test_a_configuration_that_the_library_refuses(
    config: dict[str, Any], tiny_encoder: Path, tmp_path: Path
) -> None:
    info = describe(str(copied(tiny_encoder, tmp_path / "m", **config)))
    with pytest.raises(
        BenchError, match=r"^model m: its configuration or tokenizer cannot be loaded"
    ) as e:
        load_tokenizer(info)
    assert "\n" not in str(e.value)


def test_weights_that_do_not_fit_the_configuration(tiny_causal: Path, tmp_path: Path) -> None:
    info = describe(str(copied(tiny_causal, tmp_path / "m", intermediate_size=65)))
    with pytest.raises(
        BenchError, match=r"proj.weight has the sizes .*64.* in the weights, and .*65"
    ):
        load(info, 2, 0)


def test_damaged_weights(tiny_causal: Path, tiny_encoder: Path, tmp_path: Path) -> None:
    folder = copied(tiny_causal, tmp_path / "m")
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    for content, why in (
        (whole[:-1], f"has {len(whole) - 1} bytes in place of {len(whole)}; fetch it anew."),
        (whole + b"x", f"has {len(whole) + 1} bytes in place of {len(whole)}; fetch it anew."),
        (whole[:100], "is cut, or no safetensors: it has 100 bytes; fetch it anew."),
        (b"", "is cut, or no safetensors: it has 0 bytes; fetch it anew."),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS in place of"),
        (whole[:8] + b"[" * (len(whole) - 8), "has no header that can be read; fetch it anew."),
    ):
        path.write_bytes(content)
        assert refused(folder).startswith(f"model MODEL: MODEL/model.safetensors {why}")
    path.write_bytes(whole)
    index = {"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "index.json names 'model-2.safetensors', which is not there" in refused(folder)
    for model, name in (
        (tiny_causal, "model.layers.0.mlp.up_proj.weight"),
        (tiny_encoder, "bert.encoder.layer.0.output.dense.weight"),
    ):
        bad = copied(model, tmp_path / model.name)
        for value in (float("nan"), float("inf")):
            weights = load_file(bad / "model.safetensors")
            weights[name][0, 0] = value
            save_file(weights, bad / "model.safetensors", {"format": "pt"})
            with pytest.raises(BenchError) as caught:
                load(describe(str(bad)), 2, 0)
            file = bad / "model.safetensors"
            assert str(caught.value) == (
                f"model {bad.name}: {name} in {file} holds NaN or infinity."
            )


def test_a_tokenizer_without_a_token_to_begin_with(tiny_causal: Path, tmp_path: Path) -> None:
    def without(*names: str) -> Path:
        folder = copied(tiny_causal, tmp_path / "-".join(names))
        for path in folder.glob("*token*.json"):
            found = json.loads(path.read_text())
            path.write_text(json.dumps({k: v for k, v in found.items() if k not in names}))
        return folder

    with pytest.raises(BenchError, match="neither a start nor an end token to begin a text with: "):
        describe(str(without("bos_token", "eos_token")))
    assert describe(str(without("bos_token"))).kind == "causal"
    assert describe(str(without("eos_token"))).kind == "causal"
    with pytest.raises(BenchError, match="no token to pad with"):
        describe(str(without("eos_token", "pad_token", "unk_token")))


def electra(kind: Any) -> Any:
    return kind(hf.ElectraConfig(**SMALL, embedding_size=16, intermediate_size=32))


def bert(kind: Any) -> Any:
    return kind(hf.BertConfig(**SMALL, intermediate_size=32))


WORDLESS = {
    "electra discriminator": lambda: electra(hf.ElectraForPreTraining),
    "bert": lambda: bert(hf.BertModel),
    "classifier": lambda: bert(hf.BertForSequenceClassification),
    "distilbert": lambda: hf.DistilBertModel(
        hf.DistilBertConfig(vocab_size=64, dim=16, hidden_dim=32, n_layers=1, n_heads=2)
    ),
}
WORDY = {
    "electra generator": lambda: electra(hf.ElectraForMaskedLM),
    "bert for pretraining": lambda: bert(hf.BertForPreTraining),
    "bert for words": lambda: bert(hf.BertForMaskedLM),
}


@pytest.mark.parametrize("name", [*WORDLESS, *WORDY])
def test_an_encoder_without_a_head_for_words_has_no_retention_column(
    name: str, tiny_encoder: Path, tiny_data: Path, tiny_text: Path, tmp_path: Path
) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = (WORDLESS | WORDY)[name]()
    folder = saved(net, tiny_encoder, tmp_path / "m")
    plan = plan_for(
        ["finetune", "ewc", "mas", "l2sp"], ["rte"], folder, tiny_data, "ewc.fisher=retention",
        "mas.text=retention", retention=str(tiny_text), kind="encoder", forget=("rte",),
    )  # fmt: skip
    found = {r["cell"]["method"]: r for r in results(plan, tmp_path / "run")}
    text = plan_text(plan, tmp_path, 0, 1)
    assert "forget" not in text.replace("forget_rows", "")
    if name in WORDY:
        assert set(found) == {"finetune", "ewc", "mas", "l2sp"}
        assert all(result["retention"] for result in found.values())
        assert f"retention  {tiny_text.name}" in text
    else:
        assert set(found) == {"finetune", "l2sp"}
        assert {key.method.partition("[")[0] for key in plan.spec.refused} == {"ewc", "mas"}
        (reason,) = set(plan.spec.refused.values())
        assert reason.startswith("it is an encoder without the head that predicts masked words")
        assert all(result["retention"] is None for result in found.values())
        assert "  retention  " not in text
        plain = plan_for(["finetune", "ewc", "mas"], ["rte"], folder, tiny_data, kind="encoder")
        assert set(plain.spec.refused.values()) == {reason}  # no text would help
    assert all(result["status"] == "done" for result in found.values())


def test_the_plan_of_a_causal_lm_tells_its_texts(
    tiny_causal: Path, tiny_encoder: Path, tiny_data: Path, tmp_path: Path
) -> None:
    plan = plan_for(["finetune"], ["rte"], tiny_causal, tiny_data, forget=("cola",))
    text = plan_text(plan, tmp_path, 0, 1)
    assert "forgetting task cola" in text
    assert "retention  text sampled from the base model" in text
    plan = plan_for(["finetune"], ["rte"], tiny_encoder, tiny_data, forget=("cola",))
    text = plan_text(plan, tmp_path, 0, 1)
    assert "cola" not in text and "retention  " not in text


def test_a_configuration_that_is_too_deep_or_names_no_list_is_one_line(
    tiny_causal: Path, tmp_path: Path
) -> None:
    odd = copied(tiny_causal, tmp_path / "odd", architectures=2)
    assert "config.json has architectures = 2; it must be a list" in refused(odd)
    deep = copied(tiny_causal, tmp_path / "deep")
    (deep / "config.json").write_text("[" * 100_000)
    assert "config.json is unreadable" in refused(deep)
