"""What a person may ask for, said once: on the command line, in a TOML file, of `bench.compare`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from bench.cells.cell import ModelKind
from bench.cells.recipe import Training
from bench.core.errors import BenchError, unknown_name
from bench.core.settings import parse, setting
from bench.rows.files import read_toml
from bench.training.method import Method

Executor = Literal["local", "ray", "slurm"]
Retry = Literal["failed"]
MIXED = "mixed"
TRACKERS = ("tensorboard", "trackio", "wandb", "mlflow")
WHAT, HOW, WHERE = (
    "what to compare",
    "how to train (train.* in --set reaches the rest of the recipe)",
    "the run",
)


@dataclass(frozen=True)
class Options:
    """What a person asks for. The fields of `Training` that are marked as options stand beside
    these wherever options are named, and end up in `settings`."""

    methods: tuple[str | Method, ...] = setting(
        (), "see: run_bench.py list methods; or all; -A leaves A out", group=WHAT
    )
    tasks: tuple[str, ...] = setting(
        (),
        "see: run_bench.py list tasks; or all, or a suite (glue), of which -A leaves A out; "
        "A>B: one after the other",
        group=WHAT,
    )
    model: tuple[str, ...] = setting(
        ("micro",), "embedded name, folder or hub id; NAME=PATH names it", group=WHAT
    )
    kind: ModelKind | None = setting(
        None,
        "how to load it (its config says)",
        choices=get_args(ModelKind),
        flag="--as",
        group=WHAT,
    )
    trust_remote_code: bool = setting(
        False, "run the Python code that lies beside a model's weights", group=WHAT
    )
    data: str = setting("micro", "micro, a folder, or hub", metavar="D", group=WHAT)
    seeds: int = setting(3, "seeds per method and task", low=1, high=10_000, group=WHAT)
    first_seed: int = setting(0, "the first of them", low=0, group=WHAT)
    forget: tuple[str, ...] = setting(
        (MIXED,), "forgetting task(s); mixed: all other tasks", group=WHAT
    )
    retention: str | None = setting(
        None,
        "text that should be retained (sampled from the model)",
        metavar="FILE",
        group=WHAT,
    )
    retain_tasks: tuple[str, ...] = setting(
        (), "other tasks to score before and after, for what is lost of them", group=WHAT
    )
    lm_eval: tuple[str, ...] = setting(
        (), "tasks of lm-evaluation-harness to score before and after", group=WHAT
    )
    path: int | None = setting(
        None,
        "score at so many points on the way from θ0 to θ, of every method",
        low=2,
        high=100,
        group=WHAT,
    )
    no_reference: bool = setting(False, "do not run finetune beside the methods", group=WHAT)
    settings: dict[str, dict[str, Any]] = setting(  # "train" or a method -> its values
        {}, "settings, e.g. lwf.interval=8", flag="--set", metavar="M.S=V", group=HOW
    )
    tune: int | None = setting(
        None,
        "trials that each method gets on each task before, to choose its settings on validation "
        "rows; see docs/tuning.md",
        low=1,
        high=10_000,
        metavar="N",
        group=HOW,
    )
    tune_share: float = setting(
        1.0, "share of a cell's steps that a trial has", above=0.0, high=1.0, group=HOW
    )
    search: tuple[str, ...] = setting(
        (), "what is searched: lr, METHOD.SETTING (all that has a search space)", group=HOW
    )
    out: Path | None = setting(None, "its folder (results/local/MODEL)", metavar="DIR", group=WHERE)
    plugin: tuple[Path, ...] = setting((), "Python files to register from", group=WHERE)
    task_file: tuple[Path, ...] = setting((), "TOML files of own tasks", group=WHERE)
    keep_weights: str = setting(
        "2",
        "tuned weights to keep for later measures: all, none, or so many GiB in its folder",
        metavar="N",
        group=WHERE,
    )
    jobs: int | None = setting(
        None,
        "cells that run at once, each on a core or a GPU (what the machine allows)",
        low=1,
        group=WHERE,
    )
    executor: Executor = setting(
        "local",
        "what runs the cells: processes here, tasks of Ray, jobs of Slurm",
        choices=get_args(Executor),
        group=WHERE,
    )
    ray_address: str | None = setting(
        None, "a cluster of Ray that is there (a new one, here)", metavar="HOST:PORT", group=WHERE
    )
    slurm: tuple[str, ...] = setting(
        (), "for submitit: partition=P,gpus_per_node=1", metavar="N=V,N=V", group=WHERE
    )
    device: str | None = setting(
        None, "cpu, cuda, cuda:1 or mps (a GPU where there is one)", metavar="D", group=WHERE
    )
    theta0: str | None = setting(
        None,
        "where θ0 lies: beside the weights (device), or in a file that is read tensor by tensor "
        "(disk); left out, on disk where it has no room beside them",
        choices=("device", "disk"),
        group=WHERE,
    )
    per_gpu: int | None = setting(
        None, "cells that share a GPU, where they are small (1)", low=1, metavar="K", group=WHERE
    )
    retry: Retry | None = setting(
        None,
        "run cells again that failed before, though nothing of theirs has changed",
        choices=get_args(Retry),
        group=WHERE,
    )
    time_limit: str | None = setting(
        None,
        "when to stop: 2h, 90m, 3600; begins no cell that will not fit, the same command goes on",
        metavar="TIME",
        group=WHERE,
    )
    tracker: str | None = setting(
        None,
        "also show each cell's curve and scores there, as a run of its own",
        choices=TRACKERS,
        group=WHERE,
    )
    submission: bool = setting(False, "answer GLUE's test rows too; see submission", group=WHERE)


def shortcuts() -> list[dataclasses.Field[Any]]:
    """The fields of `Training` that are options by themselves."""
    return [field for field in dataclasses.fields(Training) if field.metadata["option"]]


def flag(field: dataclasses.Field[Any]) -> str:
    """`--batch-size`: the word of an option on the command line."""
    return field.metadata["flag"] or "--" + field.name.replace("_", "-")


def read(given: Mapping[str, Any], config: Path | None = None) -> Options:
    """The options `given` by name, over those of a TOML file.

    Raises:
        BenchError: as `read_toml` and `merged`.
    """
    return merged(given, read_toml(config, "configuration") if config else {}, str(config))


def merged(given: Mapping[str, Any], table: Mapping[str, Any], where: str) -> Options:
    """The options `given` by name, over those of a file's table, which stands at `where`.

    Raises:
        BenchError: an unknown key; an option is unknown or has a value that it cannot have; a
            setting is given twice.
    """
    known = {field.name for field in (*dataclasses.fields(Options), *shortcuts())}
    for name in given:
        if name not in known:
            raise unknown_name("option", name, known)
    filed, settings = _filed(table, where)
    whole = {**filed, **given}
    assigned = _assigned(whole.pop("settings", {}))
    for field in shortcuts():
        if field.name in given and field.name in assigned.get("train", {}):
            raise BenchError(
                f"{flag(field)} and --set train.{field.name} are the same: give one of them."
            )
        if field.name in whole:
            settings.setdefault("train", {})[field.name] = whole.pop(field.name)
    for owner, values in assigned.items():
        settings.setdefault(owner, {}).update(values)
    return dataclasses.replace(parse(Options, whole), settings=settings)


def parse_assignments(words: Sequence[str]) -> dict[str, dict[str, Any]]:
    """`["lwf.interval=8"]` -> `{"lwf": {"interval": "8"}}`.

    Raises:
        BenchError: a word that is not OWNER.FIELD=VALUE.
    """
    found: dict[str, dict[str, Any]] = {}
    for word in words:
        name, equals, value = word.partition("=")
        owner, dot, setting = name.partition(".")
        if not (equals and dot and owner and setting):
            raise BenchError(f"--set {word!r} is not of the form METHOD.SETTING=VALUE.")
        found.setdefault(owner, {})[setting] = value
    return found


def _assigned(given: Any) -> dict[str, dict[str, Any]]:
    """Settings by owner, from words of --set or a mapping.

    Raises:
        BenchError: neither; a word that is not OWNER.FIELD=VALUE.
    """
    if isinstance(given, list | tuple) and all(isinstance(word, str) for word in given):
        return parse_assignments(given)
    if isinstance(given, Mapping) and all(isinstance(v, Mapping) for v in given.values()):
        return {owner: dict(values) for owner, values in given.items()}
    raise BenchError(f"settings must be {{METHOD: {{SETTING: VALUE}}}}, not {given!r}.")


def _filed(
    table: Mapping[str, Any], where: str
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """A table's options by field, and the settings in its own tables.

    Raises:
        BenchError: an unknown key.
    """
    fields = (*dataclasses.fields(Options), *shortcuts())
    names = {flag(field).removeprefix("--").replace("-", "_"): field.name for field in fields}
    options: dict[str, Any] = {}
    settings: dict[str, dict[str, Any]] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            settings[key] = dict(value)
        elif (word := key.replace("-", "_")) in names:
            options[names[word]] = value
        else:
            raise unknown_name(f"key of {where}", key, names)
    return options, settings
