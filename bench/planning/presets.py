"""Runs that a file describes: presets that come with the suite, and files of yours.

A preset is a file of options, as for --config, which may say what it is `about`, what a reader
should know (`notes`), which `published` figures it is set against, and may have parts: `[[part]]`,
each a run of its own in the same folder, whose keys go over the file's. What is asked for besides
goes over all of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from bench.cells.cell import REFERENCE, THEN
from bench.cells.recipe import Training
from bench.core.errors import BenchError, unknown_name
from bench.core.settings import parse
from bench.planning.method_names import chosen
from bench.planning.name_groups import task_groups
from bench.planning.options import MIXED, Options, merged
from bench.planning.task_names import groups_of
from bench.rows.files import read_toml
from bench.rows.source import source_of
from bench.rows.task import TASKS
from bench.training.method import Method

FOLDER = Path(__file__).parent / "presets"
_DIVIDED = ("tasks", "forget")
"""What parts may divide among them; a word of the command line then chooses among the parts."""


@dataclass(frozen=True)
class Preset:
    """A file that describes a run, or several in one folder."""

    name: str
    about: str
    notes: tuple[str, ...]
    published: str | None  # a file of results/published, without its ending
    parts: tuple[Mapping[str, Any], ...]  # the options of each run, as the file has them

    @property
    def folder(self) -> Path:
        """Where its results lie unless --out says otherwise."""
        return Path("results", "local", self.name)

    @property
    def recipes(self) -> dict[str, dict[str, Any]]:
        """Of each task or sequence what the file says of the recipe: those parts of `Training`."""
        found: dict[str, dict[str, Any]] = {}
        for part in self.parts:
            options = merged({}, part, self.name)
            given = options.settings.get("train", {})
            whole = parse(Training, given, "train")
            for task in options.tasks:
                found[task] = {name: getattr(whole, name) for name in given}
        return found


@dataclass(frozen=True)
class Wanted:
    """A preset as it was asked for."""

    preset: Preset
    whole: tuple[Options, ...]
    runs: tuple[Options, ...]  # of these what has its rows here
    changed: tuple[str, ...]  # what was asked for otherwise than it says
    missing: tuple[str, ...]  # tasks whose rows are not here


def names() -> list[str]:
    """The presets that come with the suite."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load(name: str) -> Preset:
    """The preset called so, or that of a TOML file.

    Raises:
        BenchError: there is no such preset or file, or it says something that cannot be.
    """
    path = FOLDER / f"{name}.toml"
    if not path.is_file():
        path = Path(name).expanduser()
        if path.suffix != ".toml":
            raise unknown_name("preset", name, names())
    table = read_toml(path, "configuration")
    parts = table.pop("part", [{}])
    if not (isinstance(parts, list) and parts and all(isinstance(p, dict) for p in parts)):
        raise BenchError(f"{path}: parts are tables that begin with [[part]].")
    about, published = table.pop("about", ""), table.pop("published", None)
    notes = table.pop("notes", [])
    for key, text in (("about", about), ("published", published or "")):
        if not isinstance(text, str):
            raise BenchError(f"{path}: {key} is a text, not {text!r}.")
    if not (isinstance(notes, list) and all(isinstance(note, str) for note in notes)):
        raise BenchError(f"{path}: notes is a list of texts, not {notes!r}.")
    preset = Preset(
        path.stem, about, tuple(notes), published, tuple(_over(table, part) for part in parts)
    )
    for part in preset.parts:
        check(merged({}, part, str(path)))
    return preset


def wanted(preset: Preset, given: Mapping[str, Any]) -> Wanted:
    """The preset with what else is asked for by name, which goes before what it says.

    Raises:
        BenchError: a name or a value that cannot be; a task or forgetting task that no part has.
    """
    parts, words = _chosen_parts(preset, given)
    asked = [merged(words, part, preset.name) for part in parts]
    plain = [merged({}, part, preset.name) for part in parts]
    elsewhere = {owner for one in plain for owner in one.settings}
    elsewhere |= {owner for one in asked for owner in _owners(one)}
    whole: list[Options] = []
    runs: list[Options] = []
    missing: dict[str, None] = {}
    for options in asked:
        own = _owners(options)
        kept = {k: v for k, v in options.settings.items() if k in own or k not in elsewhere}
        whole.append(replace(options, settings=kept, out=options.out or preset.folder))
        check(whole[-1])
        held, lines = _held(whole[-1])
        missing |= dict.fromkeys(lines)
        runs += [held] if held else []
    changed = [
        line for before, after in zip(plain, asked, strict=True) for line in _changed(before, after)
    ]
    return Wanted(preset, tuple(whole), tuple(runs), tuple(dict.fromkeys(changed)), tuple(missing))


def check(options: Options) -> None:
    """Raises BenchError for a method, a setting, a task or a part of the recipe that there is not:
    all that can be said without rows and models."""
    _methods(options)
    _recipe(options)
    task_groups(options.tasks)
    groups_of([name for name in options.tasks if name in TASKS.names() or THEN in name])
    known = {*TASKS.names(), MIXED}
    for name in options.forget:
        if name not in known:
            raise unknown_name("forgetting task", name, known)


def runs_of(preset: Preset) -> list[Options]:
    """Its runs as the file has them."""
    return [merged({}, part, preset.name) for part in preset.parts]


def cost(runs: Iterable[Options]) -> tuple[int, int | None]:
    """Cells and optimizer steps of runs, each once, by the published numbers of their tasks' rows:
    what can be said without rows and models. No steps where a task's number is not known."""
    cells: dict[str, int] = {}
    for options in runs:
        recipe = _recipe(options)
        for name in options.tasks:
            if name not in TASKS.names() and THEN not in name:
                continue  # a group: which of its tasks, only the data can tell
            rows = [(TASKS.get(stage).rows or (0, 0))[0] for stage in name.split(THEN)]
            steps = sum(map(recipe.total_steps, rows))
            for method in _methods(options):
                forget = options.forget if "forget" in method.needs else ()
                seeds = range(options.first_seed, options.first_seed + options.seeds)
                for model, seed in itertools.product(options.model, seeds):
                    cell = (method.name, method.settings, name, recipe, forget, model, seed)
                    cells[repr(cell)] = steps
    known = all(cells.values())
    return len(cells), sum(cells.values()) if known else None


def _methods(options: Options) -> Sequence[Method]:
    """The methods of a run, the reference among them; raises BenchError as `chosen`."""
    reference = () if options.no_reference else (REFERENCE,)
    return chosen(dict.fromkeys([*reference, *options.methods]), options.settings)


def _recipe(options: Options) -> Training:
    return parse(Training, options.settings.get("train", {}), "train")


def _over(table: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    """A file's keys with a part's over them; the tables of settings by their keys."""
    found = {**table, **part}
    for key, value in part.items():
        if isinstance(value, dict) and isinstance(table.get(key), dict):
            found[key] = {**table[key], **value}
    return found


def _chosen_parts(
    preset: Preset, given: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The parts, and what is asked for over them. Where tasks (or forgetting tasks) are divided
    among the parts, those that are asked for choose the parts, and those of a part.

    Raises:
        BenchError: no part has what is asked for.
    """
    parts, words = [dict(part) for part in preset.parts], dict(given)
    for name in _DIVIDED:
        values = [getattr(merged({}, part, preset.name), name) for part in parts]
        if name not in words or len(set(values)) < 2:
            continue
        asked = getattr(merged({name: words.pop(name)}, {}, preset.name), name)
        known = [each for value in values for each in value]
        for each in asked:
            if each not in known:
                raise unknown_name(f"part of {preset.name}: --{name}", each, set(known))
        kept = [[each for each in value if each in asked] for value in values]
        parts = [{**part, name: own} for part, own in zip(parts, kept, strict=True) if own]
    return parts, words


def _owners(options: Options) -> set[str]:
    """What settings of a run may belong to."""
    named = [part for name in options.methods for part in str(name).split("+")]
    return {"train", REFERENCE, *named, *(name.partition(":")[0] for name in named)}


def _held(options: Options) -> tuple[Options | None, list[str]]:
    """The run without tasks whose rows are not here, None where none is left; and what is not."""
    lines: dict[str, None] = {}

    def here(name: str) -> bool:
        if name == MIXED or not set(stages := name.split(THEN)) <= set(TASKS.names()):
            return True
        tasks = [TASKS.get(stage) for stage in stages]
        gone = [t for t in tasks if not source_of(t, options.data).available(t)]
        for task in gone:
            files = source_of(task, options.data).holding(task) or "no files of it are known"
            lines[f"{task.name} is not in {options.data}: {files}"] = None
        return not gone

    tasks, forget = (tuple(filter(here, names)) for names in (options.tasks, options.forget))
    if not tasks or (options.forget and not forget):
        names = ", ".join(options.tasks if not tasks else options.forget)
        lines[f"so nothing of {names} {'is learned' if not tasks else 'is forgotten'}"] = None
        return None, list(lines)
    return replace(options, tasks=tasks, forget=forget), list(lines)


def _changed(before: Options, after: Options) -> Iterator[str]:
    """What differs between what a preset says and what is asked for."""
    for field in fields(Options):
        was, now = getattr(before, field.name), getattr(after, field.name)
        if was != now and field.name not in ("settings", "out", "plugin", "task_file", "jobs"):
            yield f"{field.name} {_word(was)} -> {_word(now)}"
    for owner, values in after.settings.items():
        for name, value in values.items():
            was = before.settings.get(owner, {}).get(name)
            if str(was) != str(value):
                yield f"{owner}.{name} {'default' if was is None else _word(was)} -> {_word(value)}"


def _word(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
