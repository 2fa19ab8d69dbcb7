"""What a model's name stands for: embedded, a folder, a hub id, or any of them renamed."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants

from bench.core import hub
from bench.core.errors import BenchError
from bench.planning.model_info import describe
from bench.planning.options import Options
from bench.planning.plan import make_plan
from bench.planning.plugins import load_builtin

load_builtin()


@pytest.fixture
def asked(tiny_causal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids that the hub is asked for; it has whatever is asked, at commit abc."""
    ids: list[str] = []
    shutil.copytree(tiny_causal, tmp_path / "abc")

    def snapshot_download(name: str, allow_patterns: list[str]) -> str:
        ids.append(name)
        return str(tmp_path / "abc")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    monkeypatch.setattr(hub, "_why_offline", lambda: None)
    return ids


# ids as the model pages of huggingface.co have them
@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("gpt2", "openai-community/gpt2"),
        ("gpt2-medium", "openai-community/gpt2-medium"),
        ("openai-gpt", "openai-community/openai-gpt"),
        ("bert-base-uncased", "google-bert/bert-base-uncased"),
        ("distilbert-base-cased", "distilbert/distilbert-base-cased"),
        ("distilgpt2", "distilbert/distilgpt2"),
        ("distilroberta-base", "distilbert/distilroberta-base"),
        ("roberta-large", "FacebookAI/roberta-large"),
        ("xlm-roberta-base", "FacebookAI/xlm-roberta-base"),
        ("albert-xxlarge-v2", "albert/albert-xxlarge-v2"),
        ("xlnet-base-cased", "xlnet/xlnet-base-cased"),
        ("t5-small", "google-t5/t5-small"),
        ("camembert-base", "almanach/camembert-base"),
        ("some-model", "some-model"),
        ("someone/gpt2", "someone/gpt2"),
    ],
)
def test_a_name_without_owner_is_asked_of_the_hub(name: str, found: str, asked: list[str]) -> None:
    info = describe(name)
    assert asked == [found]
    assert (info.name, info.source, info.revision) == (found, found, "abc")
    assert info.hash == f"{found}@abc"


def test_a_folder_of_that_name_or_an_embedded_model_goes_first(
    tiny_causal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_causal, tmp_path / "gpt2")
    assert describe("gpt2").hash == describe(str(tiny_causal)).hash
    micro = describe("micro")
    assert (micro.name, micro.twin, describe("micro-clean").twin) == ("micro", "micro-clean", None)
    assert describe("micro-encoder").kind == "encoder"
    assert asked == []


def test_without_network_a_bare_name_says_quickly_what_was_tried(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub, "_answers", lambda url: pytest.fail("asked the network"))
    hub._why_offline.cache_clear()
    start = time.monotonic()
    with pytest.raises(BenchError) as caught:
        describe("gpt2")
    assert time.monotonic() - start < 5
    assert str(caught.value) == (
        "HF_HUB_OFFLINE is set, and model openai-community/gpt2 ('gpt2' is no folder here and none "
        "of the embedded models micro, micro-clean, micro-encoder, micro-encoder-clean) cannot be "
        "loaded from this machine's cache: give a local folder with --model FOLDER, or run this "
        "once with a connection to fill the cache."
    )
    with pytest.raises(BenchError, match=r"'mycro' is no folder .* did you mean 'micro'\?"):
        describe("mycro")
    hub._why_offline.cache_clear()


def test_a_model_may_be_given_a_name(
    tiny_causal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[str]
) -> None:
    plain, named = describe(str(tiny_causal)), describe(f"Mine-1.0={tiny_causal}")
    assert (plain.name, named.name) == (tiny_causal.name, "Mine-1.0")
    assert (named.hash, named.source) == (plain.hash, plain.source)
    assert describe("small=gpt2").name == "small"
    assert describe("small=gpt2").hash == describe("gpt2").hash
    assert (describe("m=micro").name, describe("m=micro").twin) == ("m", "micro-clean")
    monkeypatch.setenv("HOME", str(tiny_causal.parent))
    assert describe(f"x=~/{tiny_causal.name}").hash == plain.hash  # no shell has expanded this one
    monkeypatch.chdir(tmp_path)
    for odd in ("lr=1", "out/lr=1"):  # folders that have a = in their names
        shutil.copytree(tiny_causal, tmp_path / odd)
        assert describe(odd).name == "lr=1"
    monkeypatch.undo()
    for bad in ("a/b=micro", "a b=micro", "=micro", "x=", "..=micro"):
        with pytest.raises(BenchError, match=r"is no folder here .* letters, digits"):
            describe(bad)


def test_two_models_of_one_name_are_told_apart_first(tiny_causal: Path, tmp_path: Path) -> None:
    other = tmp_path / tiny_causal.name
    shutil.copytree(tiny_causal, other)

    def names(*models: object) -> list[str]:
        asked = Options(("finetune",), ("cola",), tuple(map(str, models)))
        return [model.name for model in make_plan(asked).spec.models]

    with pytest.raises(BenchError, match=r"are both called .* rename one, --model NAME=PATH\.$"):
        names(tiny_causal, other)
    assert names(tiny_causal, f"other={other}") == [tiny_causal.name, "other"]
