"""What there is, as text: lists of methods, tasks and models, and the card of one."""

from __future__ import annotations

import dataclasses
import inspect
import textwrap
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from bench.core.errors import BenchError
from bench.core.registry import Registry
from bench.core.settings import allowed, spelled, typed
from bench.planning.plugins import place_of
from bench.render.layout import WIDTH, table, wrap
from bench.render.section import Column
from bench.render.wording import kept
from bench.rows.source import embedded_models, sources_by_name
from bench.rows.task import SPLITS
from bench.training.method import NEEDS, ROLES, CommonSettings

if TYPE_CHECKING:
    from bench.rows.task import Task
    from bench.training.method import Method

_HOLD = "\N{NO-BREAK SPACE}"


def methods(known: Registry[type[Method]], _: Registry[Task], width: int = WIDTH) -> str:
    """Every method with its paper, cost and settings, and all names behind them."""
    cards = ["\n".join(_card(known.get(name), width)) for name in known.names()]
    names = f"{len(cards)} methods: {', '.join(known.names())}. One of them: show METHOD"
    return "\n\n".join([*cards, wrap(names, width)])


def method(cls: type[Method], width: int = WIDTH) -> str:
    """A method's card, and what its class says of itself."""
    title, *rest = _card(cls, width)
    about = textwrap.indent(_narrow(inspect.cleandoc(cls.__doc__ or ""), width - 2), "  ")
    return "\n".join([title, *([about, ""] if about else []), *rest])


def _narrow(text: str, width: int) -> str:
    """`text` as it is where it fits, else with every paragraph broken anew."""
    if max(map(len, text.split("\n"))) <= width:
        return text
    return "\n\n".join(wrap(" ".join(part.split()), width) for part in text.split("\n\n"))


def _card(cls: type[Method], width: int) -> list[str]:
    """A method's title, what else its card says, its variants and its settings."""
    card = cls.card
    try:
        plain = cls(cls.Config())
        needs, roles = _told(plain.needs, NEEDS), _told(plain.roles, ROLES)
    except Exception as error:
        text = f"{type(error).__name__}: {error}{place_of(error)}"
        raise BenchError(f"method {cls.name} fails: {text}.") from error
    lines = [
        f"{cls.name}: {card.title}",
        f"  {card.equation}",
        f"  paper: {card.paper}",
        f"  defaults: {card.defaults}",
        f"  needs: {needs or 'nothing'}",
        f"  in a stack: {roles or 'never (it names no role)'}",
        f"  extra passes: {card.passes}",
        f"  kept in memory beside weights, gradients and moments: {kept(plain)}",
    ]
    lines += [
        f"  {cls.name}:{variant}: {', '.join(f'{k}={typed(v)}' for k, v in values.items())}"
        for variant, values in cls.variants.items()
    ]
    wrapped = [wrap(line, width, "    ") for line in lines]
    return [*wrapped, textwrap.indent(_settings(cls, width - 2), "  ")]


def _told(said: Iterable[str], known: Mapping[Any, str]) -> str:
    """Words of a method, each with what it means."""
    return "; ".join(f"{word} ({known.get(word, 'unknown')})" for word in sorted(said))


def _settings(cls: type[Method], width: int) -> str:
    """A method's settings with their defaults, meanings and ranges, as a table."""
    fields = (*dataclasses.fields(cls.Config), *dataclasses.fields(CommonSettings))
    rows = [(f"{cls.name}.{f.name}", typed(f.default), f) for f in fields]
    used = 4 + max(len(name) for name, *_ in rows) + max(len(value) for _, value, _ in rows)
    left = min(width, WIDTH - 2) - used
    wrapped = [
        (name, value, textwrap.fill(_meaning(field), left, break_on_hyphens=False))
        for name, value, field in rows
    ]
    lines, _ = table([Column("", left=True)] * 3, wrapped, width)
    return "\n".join(lines).replace(_HOLD, " ")


def _meaning(field: dataclasses.Field[object]) -> str:
    """A setting's help text, its range, and what it is searched over, which are not broken over
    lines."""
    rule, space = allowed(field.metadata), field.metadata.get("search")
    told = [*([rule] if rule else []), *([f"searched {spelled(space)}"] if space else [])]
    words = "; ".join(one.replace(" ", _HOLD) for one in told)
    return f"{field.metadata.get('help', '')}{f' ({words})' if words else ''}"


def tasks(_: Registry[type[Method]], known: Registry[Task], width: int = WIDTH) -> str:
    """Every task with its kind, metrics, published numbers of rows, sources and paper."""
    found = [known.get(name) for name in known.names()]
    rows = [
        (
            t.name,
            t.kind,
            "\n".join(t.metrics),
            *_counts(t),
            "\n".join(name for name, _ in _places(t)),
            t.paper,
        )
        for t in found
    ]
    lines, gone = table(_TASK_COLUMNS, rows, width)
    said = f"No room in {width} columns for: {', '.join(gone)}. " if gone else ""
    return "\n".join([*lines, "", wrap(said + _PUBLISHED, width)])


def task(one: Task, width: int = WIDTH) -> str:
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
    head = [f"{one.name}: {one.kind}", *([f"  {one.about}"] if one.about else [])]
    head += [f"  {name}: {text}" for name, text in facts.items() if text]
    return "\n".join(wrap(line, width, "    ") for line in head)


_PUBLISHED = (
    "train, dev: as published; ~ marks numbers that were not counted in the files themselves. The "
    "commits on the hub were never loaded from there, for want of a network: `show TASK` has them."
)
_TASK_COLUMNS = (
    Column("task", left=True),
    Column("kind", left=True),
    Column("metrics", left=True),
    Column("train"),
    Column("dev"),
    Column("from", left=True),
    Column("paper", 1, words=44, left=True),
)
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
    """Where a task's rows come from: the kind of place, and what is there."""
    found = [(name, source.holding(one)) for name, source in sources_by_name().items()]
    return [(name, there) for name, there in found if there]


def models(_: Registry[type[Method]], __: Registry[Task], width: int = WIDTH) -> str:
    """The embedded models, and what else may be named."""
    rows = [(name, "embedded, generated world") for name in embedded_models()]
    rows += [
        ("./FOLDER", "a local Hugging Face folder: config.json, *.safetensors, tokenizer"),
        ("OWNER/NAME", "a model on the Hugging Face hub, downloaded when it is used"),
        ("gpt2, ...", "the same for well-known ones: their owner is known"),
        ("NAME=MODEL", "any of these, called NAME on boards"),
    ]
    columns = (Column("model", left=True), Column("what", words=80, left=True))
    return "\n".join(table(columns, rows, width)[0])
