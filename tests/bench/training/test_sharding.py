"""Weights that are cut over two processes while they are trained, against one process."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers as hf

from bench.core.errors import TerminatedError
from bench.core.memory import Place
from bench.planning.plugins import load_builtin
from bench.running.footprint import parts_of
from bench.selfcheck import processes
from bench.selfcheck.checks import FailedError, Subject
from bench.selfcheck.world import World, only_cell, write_encoder
from bench.training.method import METHODS
from bench.training.sharding import agreed
from bench.training.shards import gathered, placed
from tests.helpers.worlds import widened

load_builtin()
LOOKS = """
from pathlib import Path

from bench import BenchError, Card, Method, register_method
from tests.helpers.living import watch

watch(Path(__file__).parent, 'wide')

@register_method('looks')
class Looks(Method):
    '''Fine-tuning that looks where its weights are.'''
    card = Card('t', 'p', 'e', 'd', 'none')

    def prepare(self, run):
        self.kept = {n: p.detach().square() for n, p in run.net.named_parameters()}

    def after_step(self, run):
        for name, p in run.loaded.pretrained():
            (state,) = (s for q, s in run.optimizer.state.items() if q is p)
            held = [p, run.anchor[name], self.kept[name], state['exp_avg']]
            here = {x.to_local().numel() for x in held}
            if len(here) != 1 or max(here) > 0.6 * p.numel():
                raise BenchError(f'{name}: {here} of {p.numel()}')
            found, whole = run.number(p.detach().sum()), float(p.detach().full_tensor().sum())
            if abs(found - whole) > 1e-3:
                raise BenchError(f'{name} adds up to {whole}, not to {found}')

    def state_dict(self):
        return self.kept

    def load_state_dict(self, state):
        self.kept = state
"""
LOOKING = Subject("looks", "causal")
WATCHED = [
    Subject("finetune", "wide"),
    Subject("recadam", "wide"),
    Subject("ewc", "wide", ("ewc.fisher=retention", "ewc.blocks=16")),
]
ROUNDED = "train.weights=bfloat16"
FEW = [  # of each kind of method one, some in stacks
    Subject("recadam", "encoder"),
    Subject("ewc+lwf", "causal"),
    Subject("distill+mas+npo+wise_ft", "causal", ("train.micro_batch=2",)),
    Subject("child_tuning", "causal", ("train.checkpointing=true",)),
    Subject("lora", "causal", ("train.select=best-on-dev",)),
    Subject("recadam", "causal", (ROUNDED,)),
    Subject("lora", "pooled", (ROUNDED,)),  # its pooler has adapters, beside a narrow head
]
EACH = [
    *(Subject(name, "causal", (ROUNDED,)) for name in ("finetune", "ewc", "lora", "wise_ft")),
    *(Subject(name, "causal") for name in METHODS.names() if not METHODS.get(name).whole),
    *(Subject(name, "encoder") for name in ("finetune", "l2sp", "llrd", "freeze", "bss")),
    Subject("child_tuning:D", "causal"),
]


@pytest.fixture(scope="module")
def steady(world: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The tiny world without dropout, which several processes draw otherwise than one; an encoder
    with a pooler, and a model whose weights outweigh activations."""
    folder = tmp_path_factory.mktemp("steady")
    models = {"pooled": write_encoder(folder / "pooled", hf.BertForSequenceClassification)}
    models["encoder"] = shutil.copytree(world.models["encoder"], folder / "tiny-encoder")
    for encoder in models.values():
        config = encoder / "config.json"
        values = json.loads(config.read_text("utf-8"))
        none = {name: 0.0 for name in values if name.endswith("dropout_prob")}
        config.write_text(json.dumps(values | none), encoding="utf-8")
    models["wide"] = widened(world.models["causal"], folder / "wide", 192, 4)
    return replace(world, models=world.models | models)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sharded")


@pytest.fixture(scope="module", params=[FEW, pytest.param(EACH, marks=pytest.mark.slow)], ids=len)
def found(request: pytest.FixtureRequest, steady: World, folder: Path) -> dict[Subject, Any]:
    """What two processes find whose weights are sharded, for all subjects in one go."""
    plugin = folder / "looks.py"
    plugin.write_text(LOOKS, encoding="utf-8")
    subjects = [LOOKING, *WATCHED, *request.param]
    both = processes.on_two_processes(subjects, steady, folder / "two", [str(plugin)], sharded=True)
    return dict(zip(subjects, both, strict=True))


def test_sharded_is_as_one_process(
    found: dict[Subject, Any], steady: World, tmp_path: Path
) -> None:
    for subject in (LOOKING, *WATCHED):
        for one in found[subject]:
            assert not isinstance(one, str), one
    rest = [subject for subject in found if subject not in (LOOKING, *WATCHED)]
    for number, (subject, both) in enumerate((subject, found[subject]) for subject in rest):
        try:
            times = 20.0 if ROUNDED in subject.words else 1.0
            processes.two_are_one(subject, steady, tmp_path / str(number), both, times)
        except FailedError as error:
            raise AssertionError(f"{subject}: {error}") from None


@pytest.mark.usefixtures("found")
@pytest.mark.parametrize("subject", WATCHED, ids=str)
def test_a_process_holds_what_is_said(subject: Subject, steady: World, folder: Path) -> None:
    """Tensors of each of two processes, the first of which writes the checkpoint; what is whole at
    a time (bench.running.groups) among them."""
    plan = subject.plan(steady, *processes.WORDS)
    place = Place("a process of two", False, None, over=2)
    said = {part.at: part.device - part.process for part in parts_of(only_cell(plan), plan, place)}
    first, second = (
        json.loads((folder / f"{subject.method}-{rank}.json").read_text("utf-8")) for rank in (0, 1)
    )
    for at in ("cut", "train"):
        assert (first[at], second[at]) == pytest.approx((said[at], said[at]), rel=0.15), at
    assert first["save"] == pytest.approx(said["save"], rel=0.15)
    assert first["others"] == second["others"] == 0, "a network outlives its cell"


def test_a_process_stops_where_its_neighbour_does() -> None:
    neighbour = SimpleNamespace(reduce=lambda told: told + torch.tensor([1.0, 0.0]))
    run: Any = SimpleNamespace(device=torch.device("cpu"), accelerator=neighbour)
    caught: list[BaseException] = []
    assert agreed(run, caught, due=False) is False
    assert [type(error) for error in caught] == [TerminatedError]
    assert agreed(run, caught, due=True) is True and len(caught) == 1


def test_whole_tensors_stay_as_they_are() -> None:
    value = torch.arange(6.0).view(2, 3)
    assert placed(value, None) is value and placed(value, torch.zeros(2, 3)) is value
    assert gathered({"a": value}, keep=True)["a"] is value
    assert gathered({"a": value}, keep=False) == {}
