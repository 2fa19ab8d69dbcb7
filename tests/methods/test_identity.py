"""What every method must pass, whatever it does; a new one gets these tests for free."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.planning.plugins import load_builtin
from bench.selfcheck import behaviour, identity, processes
from bench.selfcheck.checks import NotApplicableError, Subject
from bench.selfcheck.world import World
from bench.training.method import METHODS

load_builtin()
ALSO = [  # what samples text cannot run on an encoder
    Subject("ewc", "encoder", ("ewc.fisher=retention",)),
    Subject("mas", "encoder", ("mas.text=retention",)),
    *(Subject("child_tuning:D", kind) for kind in ("causal", "encoder")),
]
SUBJECTS = [Subject(name, kind) for name in METHODS.names() for kind in ("causal", "encoder")]
every_subject = pytest.mark.parametrize("subject", [*SUBJECTS, *ALSO], ids=str)
every_method = pytest.mark.parametrize(
    "subject", [Subject(name, "causal") for name in METHODS.names()], ids=str
)


def passes(check: Any, subject: Subject, *where: Any) -> None:
    """Run a check; what asks nothing of the subject is skipped, saying why."""
    try:
        check(subject, *where)
    except NotApplicableError as reason:
        pytest.skip(str(reason))


@every_subject
@pytest.mark.parametrize("check", identity.ON_MODELS, ids=lambda check: check.__name__)
def test_identity(
    check: Any, subject: Subject, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.training.loop.CURVE_POINTS", 4)  # some stops lie between two of them
    passes(check, subject, world, tmp_path)


@every_method
@pytest.mark.parametrize("check", identity.ON_CLASSES, ids=lambda check: check.__name__)
def test_class(check: Any, subject: Subject, world: World, tmp_path: Path) -> None:
    passes(check, subject, world, tmp_path)


@pytest.mark.parametrize(
    "subject", [Subject(name, "causal") for name in (*METHODS.names(), "child_tuning:D")], ids=str
)
def test_it_does_what_it_is_for(subject: Subject, world: World, tmp_path: Path) -> None:
    passes(behaviour.means_it, subject, world, tmp_path)


@pytest.fixture(scope="module")
def both(world: World, tmp_path_factory: pytest.TempPathFactory) -> dict[Subject, Any]:
    """What two processes find, for all methods in one go."""
    subjects = [Subject(name, "causal") for name in METHODS.names()]
    folder = tmp_path_factory.mktemp("two")
    found = processes.on_two_processes(subjects, world, folder)
    return dict(zip(subjects, found, strict=True))


@every_method
def test_two_processes_are_one(
    subject: Subject, both: dict[Subject, Any], world: World, tmp_path: Path
) -> None:
    passes(processes.two_are_one, subject, world, tmp_path, both[subject])
