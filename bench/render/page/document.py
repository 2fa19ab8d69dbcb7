"""The whole page: boards one after the other, each from its verdicts to its cells."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.board import cell_table
from bench.board.leaderboard import Board
from bench.cells.cell import REFERENCE
from bench.cells.result import CellResult, Predictions
from bench.core.version import SUITE_VERSION
from bench.render.page import background, curves, verdicts
from bench.render.page.dots import DRIFT, GAIN, dots
from bench.render.page.figure import Figure, figure
from bench.render.page.flips import flips
from bench.render.page.recadam import drift_by_k
from bench.render.page.selection import confidence, selection
from bench.render.page.svg import Look
from bench.render.page.tables import Looks, named, section_table
from bench.render.page.tags import Markup, joined, tag
from bench.render.page.tradeoff import tradeoff
from bench.render.section import Section
from bench.render.sections import Page, heading, page
from bench.render.wording import one_line
from bench.rows.lookup import Lookup

_FOLDER = Path(__file__).parent
_FEW = 4  # tasks that tell a board from others


@dataclass(frozen=True)
class Shown:
    """What a page is made of."""

    name: str  # of the folder
    boards: Sequence[Board]
    answers: Callable[[CellResult], Predictions | None]
    lookup: Lookup
    set_aside: Sequence[str] = ()


def render(shown: Shown) -> str:
    """The page, which needs nothing but itself."""
    style, script = ((_FOLDER / f"page.{kind}").read_text("utf-8") for kind in ("css", "js"))
    titles = titles_of(shown.boards)
    boards = [
        _board(board, number, titles[number], shown) for number, board in enumerate(shown.boards)
    ]
    links = [
        tag("li", tag("a", title, href=f"#board-{number}")) for number, title in enumerate(titles)
    ]
    body = joined(
        tag("a", "Skip to the verdicts", href="#main", class_="skip"),
        tag("header", tag("h1", shown.name), tag("p", _ABOUT, class_="about")),
        tag("nav", tag("ol", *links), aria_label="Boards") if len(links) > 1 else None,
        tag("main", *boards, id="main"),
        _set_aside(shown.set_aside),
        tag("footer", f"forgetting-bench {SUITE_VERSION}"),
        tag("script", Markup(script)),
    )
    head = joined(
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy(style, script)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{shown.name}: does forgetting help?"),
        tag("style", Markup(style)),
    )
    return f"<!doctype html>\n{tag('html', tag('head', head), tag('body', body), lang='en')}\n"


_ABOUT = (
    "Methods that forget or retain while a pretrained model is fine-tuned, beside plain "
    "fine-tuning (finetune): same rows, same order, same seeds, same loop."
)


def _policy(style: str, script: str) -> str:
    """What the browser may load and run: this style and this script, and nothing else."""
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _set_aside(lines: Sequence[str]) -> Markup | None:
    return tag("ul", *(tag("li", line) for line in lines), class_="notes") if lines else None


def looks_of(board: Board) -> dict[str, Look]:
    """How each method of a board is drawn: the reference grey, the others by name."""
    reference = {name for key, name in board.names.items() if key.method == REFERENCE}
    others = sorted(set(board.names.values()) - reference)
    numbers = dict.fromkeys(reference, 0) | {name: i for i, name in enumerate(others, 1)}
    return {name: Look(name, number) for name, number in numbers.items()}


@dataclass
class _Part:
    """A part of a board's page, and its place in the list of parts."""

    title: str
    about: str
    blocks: list[Markup] = field(default_factory=list)


def titles_of(boards: Sequence[Board]) -> list[str]:
    """What boards are called: those of one heading get what differs in what their cells share, or
    else their tasks."""
    headings = [heading(board) for board in boards]
    shared = [cell_table.flat("", board.shared) for board in boards]
    titles = []
    for name_, mine in zip(headings, shared, strict=True):
        twins = [its for other, its in zip(headings, shared, strict=True) if other == name_]
        names = [name for name in mine if any(its.get(name) != mine[name] for its in twins)]
        differ = (f"{name.rpartition('.')[2]}={mine[name]}" for name in names)
        titles.append(one_line(", ".join([name_, *differ])))
    counts = Counter(titles)
    return [
        f"{title}: {_tasks(board)}" if counts[title] > 1 else title
        for title, board in zip(titles, boards, strict=True)
    ]


def _tasks(board: Board) -> str:
    """Such as "qasc, forgetting recall_classes"."""
    names = [table.title for table in board.tables]
    forget = sorted({task for table in board.tables for task in table.forget})
    said = ", ".join(names) if len(names) <= _FEW else f"{len(names)} tasks"
    return one_line(f"{said}, forgetting {', '.join(forget)}" if forget else said)


def _board(board: Board, number: int, title: str, shown: Shown) -> Markup:
    looks, words = looks_of(board), page(board)
    parts = [part for part in _parts(board, words, looks, shown) if part.blocks]
    anchors = [f"board-{number}-{i}" for i in range(len(parts))]
    links = [
        tag("li", tag("a", part.title, href=f"#{anchor}"))
        for part, anchor in zip(parts, anchors, strict=True)
    ]
    sections = [
        tag("section", tag("h3", part.title), tag("p", part.about, class_="about"), *part.blocks,
            id=anchor, class_="part")
        for part, anchor in zip(parts, anchors, strict=True)
    ]  # fmt: skip
    facts = tag("ul", *(tag("li", fact) for fact in words.facts), class_="facts")
    head = joined(
        tag("h2", title),
        tag("details", tag("summary", "What its cells have in common"), facts),
        tag("nav", tag("ol", *links), aria_label=f"Parts of {title}"),
        _legend(looks),
    )
    return tag("article", head, *sections, id=f"board-{number}")


def _legend(looks: Looks) -> Markup:
    """A button per method, which brings it forward everywhere on the board."""
    buttons = [
        tag("button", named(look), type="button", aria_pressed="false",
            data_m=look.number)
        for look in sorted(looks.values(), key=lambda look: look.number)
    ]  # fmt: skip
    said = "Methods: press one to bring it forward in every plot and table"
    hint = tag("span", "press one to follow it through the board", class_="hint")
    return tag("div", *buttons, hint, class_="legend", role="group", aria_label=said, title=said)


def _parts(board: Board, words: Page, looks: Looks, shown: Shown) -> list[_Part]:
    def drawn(*figures: Figure) -> list[Markup]:
        return [figure(one, looks) for one in figures if one.drawings]

    def tabled(*sections: Section | None) -> list[Markup]:
        return [section_table(one, looks) for one in sections if one]

    flipped = flips(board, shown.answers, shown.lookup, looks)
    limits = [tag("ul", *(tag("li", line) for line in board.limits), class_="notes")]
    return [
        _Part(
            "Verdicts",
            f"{_VERDICTS} {_seeds(board)}",
            [
                verdicts.summary(board, looks),
                *(limits if board.limits else []),
                *filter(None, [verdicts.matrix(board, looks)]),
                *drawn(dots(board, looks, GAIN)),
            ],
        ),
        _Part("Target against retention", _TRADEOFF, drawn(tradeoff(board, looks))),
        _Part("Tables", words.legend, tabled(*words.sections)),
        _Part("Learning and forgetting", _LEARNING, drawn(*curves.learning(board, looks))),
        _Part(
            "What methods did",
            _METHODS,
            drawn(
                *curves.logged(board, looks),
                confidence(board, looks),
                selection(board, looks),
                dots(board, looks, DRIFT),
                drift_by_k(board, looks),
            ),
        ),
        _Part("Answers that changed", _FLIPS, [flipped] if flipped else []),
        _Part(
            "Cells, settings, provenance",
            _BACKGROUND,
            tabled(
                background.without_scores(board),
                background.settings(board),
                background.recipe(board),
                background.provenance(board),
                background.every_cell(board),
            ),
        ),
    ]


def _seeds(board: Board) -> str:
    """Of how many runs each method is."""
    n = len(board.seeds)
    return "One seed of each method." if n == 1 else f"{n} seeds of each method, at most."


_VERDICTS = (
    "Each method against finetune, on the same seeds: paired t-tests over seeds at 5 %, corrected "
    "for all tasks and methods of the board (Holm). Better and worse: by how much, with the 95 % "
    "interval. No difference shown is not equality: ± says how large one surely would have been "
    "seen. Best score first."
)
_TRADEOFF = (
    "What a method gains on the task, and what the model forgets of what it knew. Up and to the "
    "left is better."
)
_LEARNING = "What happened on the way, finetune in grey."
_METHODS = "What methods logged of themselves, and how far they moved the weights."
_FLIPS = "Dev rows that tuning lost or won, with their texts."
_BACKGROUND = "Everything that is needed to run it again, and what did not finish."
