"""What is shown of each method, in a few lines and as a matrix: before anything else."""

from __future__ import annotations

from collections.abc import Sequence

from bench.board.leaderboard import AVERAGE, Board
from bench.board.verdicts import Verdict
from bench.render.page.tables import Looks, named, scrolled
from bench.render.page.tags import Markup, joined, tag
from bench.render.wording import MISSING, measure_text, one_line, seen_text, verdict_text

_ASKED = {
    "after": "On the task: points of its score",
    "retention": "What it knew before: loss on other text, nats per token",
}
_FEW = 5  # tasks that a card names
_DIFFERENCE = {"after": "gain", "retention": "retention"}
"""What is judged -> the measure in whose form its difference is written."""
_WORDS = {
    "better": ("up", "▲"),
    "worse": ("down", "▼"),
    "no difference shown": ("same", "○"),
    "one seed": ("same", "·"),
}
"""A verdict -> its style, and a sign that needs no colour."""


def summary(board: Board, looks: Looks) -> Markup:
    """A card per method: better and worse on what, by how much, and what it costs."""
    methods = dict.fromkeys(verdict.method for verdict in board.verdicts)
    cards = [_card(board, name, looks) for name in methods]
    if not cards:
        return tag("p", "Nothing to compare: there are no two methods with a finished cell.")
    return tag("div", *cards, class_="cards")


def _card(board: Board, method: str, looks: Looks) -> Markup:
    mine = [verdict for verdict in board.verdicts if verdict.method == method]
    lines = [_line(title, mine, name) for name, title in _ASKED.items()]
    lines.append(tag("p", tag("span", "Cost", class_="asked"), _cost(board, method)))
    head = tag("h4", named(looks[method]))
    return tag("section", head, *lines, class_="card", data_m=looks[method].number)


def _line(title: str, verdicts: Sequence[Verdict], name: str) -> Markup:
    """What is shown by one measure, task by task; the undecided ones are counted."""
    shown: list[str] = []
    undecided: list[Verdict] = []
    for one in verdicts:
        word = one.words[name]
        if word in ("better", "worse"):
            style, sign = _WORDS[word]
            text = f"{sign} {verdict_text(one, name)} on {_task(one)}"
            shown += [tag("span", text, class_=style), tag("br")]
        elif word:
            undecided.append(one)
    if undecided:
        word = "no difference shown" if any(_two_seeds(v, name) for v in verdicts) else "one seed"
        many = f"{len(undecided)} others" if shown else f"all {len(undecided)} comparisons"
        tasks = ", ".join(f"{_task(one)} {seen_text(one, name)}".strip() for one in undecided)
        where = tasks if len(undecided) <= _FEW else many
        shown.append(tag("span", f"○ {word}: {where}", class_="same"))
    return tag("p", tag("span", title, class_="asked"), *(shown or ["not measured"]))


def _two_seeds(verdict: Verdict, name: str) -> bool:
    return verdict.words[name] == "no difference shown"


def _task(verdict: Verdict) -> str:
    return "average" if verdict.task == AVERAGE else one_line(verdict.title)


def _cost(board: Board, method: str) -> str:
    """Its time by finetune's and its memory: of the average over tasks, or the tasks' range."""
    tables = [board.average] if board.average else list(board.tables)
    rows = [row for table in tables for row in table.rows if row.method == method]
    times = sorted((v for row in rows if (v := row.values["time_ratio"])), key=lambda v: v.mean)
    memory = [v.mean for row in rows if (v := row.values["above_model_mib"])]
    said = []
    if len(times) == 1:
        time = measure_text("time_ratio", times[0], lower=False)
        said.append(f"{' '.join(filter(None, time))} × finetune's time")
    elif times:
        said.append(f"{times[0].mean:.2f} to {times[-1].mean:.2f} × finetune's time")
    if memory:
        said.append(f"up to {max(memory):.0f} MiB above the model")
    return ", ".join(said) or MISSING


def matrix(board: Board, looks: Looks) -> Markup | None:
    """A row per method, a column per task: the sign of the verdict, and the figure."""
    if not board.verdicts:
        return None
    tasks = list(dict.fromkeys(verdict.task for verdict in board.verdicts))
    tasks.sort(key=lambda task: task != AVERAGE)
    blocks = [_matrix_of(board, tasks, name, title, looks) for name, title in _ASKED.items()]
    return joined(*blocks)


def _matrix_of(
    board: Board, tasks: Sequence[str], name: str, title: str, looks: Looks
) -> Markup | None:
    found = {(v.method, v.task): v for v in board.verdicts if v.words[name]}
    if not found:
        return None
    titles = {verdict.task: _task(verdict) for verdict in board.verdicts}
    there = [task for task in tasks if any(key[1] == task for key in found)]
    heads = [tag("th", "method", class_="l", scope="col")]
    heads += [tag("th", titles[task], scope="col") for task in there]
    rows = []
    for method in dict.fromkeys(method for method, _ in found):
        head = tag("th", named(looks[method]), class_="l who", scope="row")
        cells = [_matrix_cell(found.get((method, task)), name) for task in there]
        rows.append(tag("tr", head, *cells, data_m=looks[method].number))
    way = "" if name == "after" else " (less is better)"
    caption = f"{title}{way}; difference to finetune"
    body = tag("thead", tag("tr", *heads)), tag("tbody", *rows)
    table = scrolled(tag("table", *body, aria_label=caption), caption)
    return tag("div", tag("p", caption, class_="caption"), table, class_="block")


def _matrix_cell(verdict: Verdict | None, name: str) -> Markup:
    found = verdict.found[name] if verdict else None
    word = verdict.words[name] if verdict else None
    if verdict is None or found is None or word is None:
        return tag("td", MISSING)
    style, sign = _WORDS[word]
    shown = measure_text(_DIFFERENCE[name], found.difference, verdict.lower)
    said = f"{verdict_text(verdict, name)}, n {found.difference.n}"
    return tag("td", f"{sign} {' '.join(shown)}".rstrip(), class_=style, title=said)
