"""A stranger's model folder runs no code and loads nothing from elsewhere."""

from __future__ import annotations

import builtins
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from bench.core.errors import BenchError
from bench.network.loading import load, load_tokenizer
from bench.planning.model_info import describe

_CODE = """\
from pathlib import Path
Path({marker!r}).touch()
from transformers import LlamaConfig, LlamaForCausalLM
class Config(LlamaConfig):
    model_type = "strange"
class Model(LlamaForCausalLM):
    config_class = Config
"""


@pytest.fixture
def model(tiny_causal: Path, tmp_path: Path) -> Path:
    """A model's folder that a test may change."""
    return shutil.copytree(tiny_causal, tmp_path / "model")


def change(model: Path, **parts: Any) -> None:
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, **parts}))


def test_code_beside_the_weights_runs_only_if_trusted(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = tmp_path / "ran"
    (model / "strange.py").write_text(_CODE.format(marker=str(marker)))
    change(
        model,
        model_type="strange",
        auto_map={"AutoConfig": "strange.Config", "AutoModelForCausalLM": "strange.Model"},
    )

    def asked(*_: object) -> str:
        raise AssertionError("nobody is asked")

    monkeypatch.setattr(builtins, "input", asked)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    info = describe(str(model))
    assert not info.trusted
    with pytest.raises(BenchError, match=r"custom code.*--trust-remote-code allows that\."):
        load(info, 2, 0)
    assert not marker.exists()
    trusted = describe(str(model), trusted=True)
    assert type(load(trusted, 2, 0).net).__name__ == "Model" and marker.exists()
    load_tokenizer(trusted)
    (model / "strange.py").write_text("other code")
    assert describe(str(model)).hash == info.hash
    assert describe(str(model), trusted=True).hash != trusted.hash  # what runs is hashed


@pytest.mark.parametrize(
    "parts",
    [
        {"attn_implementation": "strangers/kernel"},
        {"_attn_implementation": "strangers/kernel"},
        {"attn_implementation": {"text_config": "strangers/kernel"}},
        {"text_config": {"_experts_implementation": "strangers/kernel:name"}},
    ],
)
def test_a_kernel_from_the_hub_is_refused(model: Path, parts: dict[str, Any]) -> None:
    change(model, **parts)
    with pytest.raises(BenchError, match=r"'strangers/kernel.* loads code from the hub"):
        describe(str(model))
    assert describe(str(model), trusted=True).trusted
    change(model, **dict.fromkeys(parts, "sdpa"))
    describe(str(model))


@pytest.mark.parametrize(
    ("index", "says"),
    [
        ({"weight_map": {"a": "../other/model.safetensors"}}, r"names '\.\./other/m.*', no file b"),
        ({"weight_map": {"a": "/etc/model.safetensors"}}, "names '/etc/model.*', no file beside"),
        ({"weight_map": {"a": "sub/model.safetensors"}}, "names 'sub/model.*', no file beside it"),
        ({"weight_map": {"a": ["x"]}}, r"cannot be read \(TypeError"),
        ({"weight_map": {"a": 3}}, "names '3', no file beside it"),
        ({"weight_map": {"a": "gone.safetensors"}}, "names 'gone.*', which is not there"),
        ({}, r"cannot be read \(KeyError"),
        ([], r"cannot be read \(TypeError"),
    ],
)
def test_an_index_names_files_beside_it(model: Path, index: Any, says: str) -> None:
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(BenchError, match=f"model.safetensors.index.json {says}") as caught:
        describe(str(model))
    assert "\n" not in str(caught.value)


def test_an_adapter_is_no_model(model: Path) -> None:
    (model / "adapter_config.json").write_text('{"base_model_name_or_path": "/elsewhere"}')
    with pytest.raises(BenchError, match=r"no model but an adapter .* of '/elsewhere'"):
        describe(str(model))
