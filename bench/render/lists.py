"""What there is, and how far a run has come, as text."""

from __future__ import annotations

import dataclasses
import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tabulate import tabulate

from bench.errors import BenchError
from bench.registry import Registry, place_of
from bench.results import CellResult
from bench.settings import allowed
from tasks.base import SPLITS

if TYPE_CHECKING:
    from methods.base import Method
    from tasks.base import Task


def methods(known: Registry[type[Method]], _: Registry[Task]) -> str:
    """Every method with its paper, cost and settings."""
    return "\n\n".join(method(known.get(name)) for name in known.names())


def method(cls: type[Method]) -> str:
    """A method's card."""
    card = cls.card
    try:
        plain = cls(cls.Config())
        needs, roles = sorted(plain.needs), sorted(plain.roles)
    except Exception as error:
        text = f"{type(error).__name__}: {error}{place_of(error)}"
        raise BenchError(f"method {cls.name} fails: {text}.") from error
    head = [
        f"{cls.name}: {card.title}",
        f"  {card.equation}",
        f"  paper: {card.paper}",
        f"  defaults: {card.defaults}",
        f"  needs: {', '.join(needs) or 'nothing'}",
        f"  in a stack: {', '.join(roles) or 'never'}",
        f"  extra passes: {card.passes}",
        f"  memory: {card.memory:g} x finetune's (derived: copies of the weights)",
    ]
    rows = [
        (f"  {cls.name}.{f.name}", _value(f.default), f"{f.metadata.get('help', '')}{_range(f)}")
        for f in dataclasses.fields(cls.Config)
    ]
    wrapped = [(name, value, textwrap.fill(text, 60)) for name, value, text in rows]
    table = tabulate(wrapped, tablefmt="plain", disable_numparse=True) if rows else "  no settings"
    head += [
        f"  {cls.name}:{variant}: {', '.join(f'{k}={_value(v)}' for k, v in values.items())}"
        for variant, values in cls.variants.items()
    ]
    return "\n".join(
        [*(textwrap.fill(line, 100, subsequent_indent="    ") for line in head), table]
    )


def _value(value: object) -> str:
    return (
        "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    )


def _range(field: dataclasses.Field[object]) -> str:
    rule = allowed(field.metadata)
    return f" ({rule})" if rule else ""


def tasks(_: Registry[type[Method]], known: Registry[Task]) -> str:
    """Every task with its kind, metrics, published numbers of rows, sources and paper."""
    found = [known.get(name) for name in known.names()]
    rows = [
        (
            t.name,
            t.kind,
            "\n".join(t.metrics),
            *_counts(t),
            "\n".join(name for name, _ in _places(t)),
            textwrap.fill(t.paper, 44),
        )
        for t in found
    ]
    headers = ("task", "kind", "metrics", "train", "dev", "from", "paper")
    table = tabulate(rows, headers=headers, disable_numparse=True, colalign=_TASK_COLUMNS)
    return f"{table}\n\n{textwrap.fill(_PUBLISHED, 100)}"


def task(one: Task) -> str:
    """A task's card."""
    answers = ", ".join(
        word if word == label else f"{word} ({label})"
        for word, label in zip(one.words, one.labels, strict=False)
    )
    facts = {
        "paper": one.paper,
        "metrics": ", ".join(one.metrics),
        "prompt": repr(one.prompt) if one.prompt else None,
        "answers": answers or _ANSWERS[one.kind],
        "rows": one.rows
        and f"{' train, '.join(_counts(one))} dev as published; ~ not counted here",
        "dev beside dev": ", ".join(one.extra) or None,
        "training rows": f"those of {one.train_from.name}" if one.train_from else None,
        "note": one.note,
        **dict(_places(one)),
    }
    head = [f"{one.name}: {one.kind}", f"  {one.about}"]
    head += [f"  {name}: {text}" for name, text in facts.items() if text]
    return "\n".join(textwrap.fill(line, 100, subsequent_indent="    ") for line in head)


_PUBLISHED = (
    "train, dev: as published; ~ marks numbers that were not counted in the files themselves. The "
    "commits on the hub were never loaded from there, for want of a network: `show TASK` has them."
)
_TASK_COLUMNS = ("left", "left", "left", "right", "right", "left", "left")
_ANSWERS = {
    "classification": "",
    "regression": "",
    "multiple_choice": "the text of one of the row's choices",
    "generation": "written, greedily",
    "text": "none: every token of the text is predicted",
}


def _counts(one: Task) -> list[str]:
    """The published numbers of rows, marked where nobody has counted them."""
    pairs = zip(SPLITS, one.rows or (), strict=False)
    return [f"{'' if s in one.counted else '~'}{count}" for s, count in pairs] or ["-", "-"]


def _places(one: Task) -> list[tuple[str, str]]:
    """Where a task's rows come from: the kind of place, and the place."""
    from tasks.micro.rows import MAKERS, SIZES

    places = []
    if one.hub:
        commit = f"{one.hub.revision[:12]} (never loaded here)"
        places.append(("hub", f"{one.hub.path} ({one.hub.config}) at {commit}"))
    if one.classic:
        files = " or ".join(", ".join(layout.values()) for _, layout in one.classic.forms)
        places.append(("folder", f"{one.classic.group}/{one.classic.folder}: {files}"))
    if one.files:
        places.append(("own files", ", ".join(map(str, one.files.paths.values()))))
    if one.name in MAKERS:
        places.append(("micro", f"{SIZES['train']} train, {SIZES['dev']} dev, generated"))
    return places


def models(*_: object) -> str:
    """The embedded models, and what else may be named."""
    from tasks.micro import MODELS

    rows = [(name, "embedded, generated world") for name in MODELS]
    rows += [
        ("./FOLDER", "a local Hugging Face folder: config.json, *.safetensors, tokenizer"),
        ("OWNER/NAME", "a model on the Hugging Face hub, downloaded when it is used"),
    ]
    return tabulate(rows, headers=("model", "what"), disable_numparse=True)


def status(results: Sequence[CellResult], folder: Path) -> str:
    """How many cells of a run's folder are done, failed, refused or stopped, and why."""
    states = "done", "failed", "refused"
    number = Counter[str](result["status"] for result in results)
    stopped = len(list((folder / "checkpoints").rglob("checkpoint.json")))
    lines = [f"{folder}: {', '.join(f'{number[s]} {s}' for s in states)}, {stopped} stopped"]
    counts: dict[tuple[str, str], list[int]] = {}
    for result in results:
        key = (result["labels"]["method"], result["cell"]["task"])
        counts.setdefault(key, [0, 0, 0])[states.index(result["status"])] += 1
    rows = [(method, task, *each) for (method, task), each in sorted(counts.items())]
    if rows:
        lines += ["", tabulate(rows, headers=("method", "task", *states))]
    lines += [
        f"! {r['labels']['method']} x {r['cell']['task']} x seed {r['cell']['seed']}: {r['error']}"
        for r in results
        if r["status"] != "done"
    ]
    return "\n".join(lines)
