"""A board in words: a page of sections, which every renderer lays out in its own way.

A renderer knows nothing of measures, transfers or suites: docs/add_a_renderer.md.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

from bench.board.leaderboard import AVERAGE, GLUE_AVERAGE, Board, Table
from bench.board.measures import MEASURES, SCORE, Measure, better, scale
from bench.board.rows import Row
from bench.board.statistics import MOST_SEEDS
from bench.board.verdicts import JUDGED, Verdict
from bench.cells.cell import REFERENCE
from bench.core.settings import typed
from bench.core.version import SUITE_VERSION, is_older
from bench.render.wording import MISSING, half_text, mean_text, one_line, verdict_text
from bench.scoring.metrics import is_lower, title_of

MOST = 10
"""The importance of what a table is hardly ever without."""
_LABEL = 24
"""The characters of a label on one line."""


_ARROWS = {"more": "\n↑", "less": "\n↓", None: ""}
"""Which way is good, under a heading."""


@dataclass(frozen=True)
class Column:
    """What stands above a column, and how much it matters."""

    heading: str  # one to four lines
    importance: int = MOST  # in a window that is too narrow, the least important goes first
    words: int = 0  # characters from which on its cells are broken over lines; 0: they never are
    left: bool = False  # whether it is aligned to the left


@dataclass(frozen=True)
class Section:
    """A titled table; every text in it is one line, headings aside."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]  # shape (rows, columns)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """All that is to be shown of a board."""

    heading: str
    facts: tuple[str, ...]  # what its cells have in common
    sections: tuple[Section, ...]
    legend: str


def page(board: Board) -> Page:
    """The board in words."""
    return Page(
        heading=_heading(board),
        facts=_facts(board),
        sections=tuple(sections(board)),
        legend=_legend(board),
    )


def sections(board: Board) -> list[Section]:
    """The board's tables in the order of reading: averages come after tasks."""
    return [
        *map(_table, tables(board)),
        *_standings(board),
        *_verdicts(board),
        *_one_seed(board),
        *_searches(board),
        *_metrics(board),
        *_transfers(board),
        *_elicitations(board),
        *_rankings(board),
        *_outsides(board),
        *_matrices(board),
    ]


def tables(board: Board) -> tuple[Table, ...]:
    """The tables of methods: a task each, then the averages."""
    averages = [table for table in (board.average, board.glue) if table is not None]
    return (*board.tables, *averages)


def _heading(board: Board) -> str:
    """What the board is of, and whether an older suite made it."""
    version = board.shared["suite_version"]
    age = f" (older suite version {version}, this is {SUITE_VERSION})" if is_older(version) else ""
    return one_line(f"{board.model} on {board.data}{age}")


def _facts(board: Board) -> tuple[str, ...]:
    shared = board.shared
    model = shared["model"]
    recipe = shared["training"] | ({"max_eval": board.dev_rows} if board.dev_rows else {})
    training = ", ".join(f"{k}={typed(v)}" for k, v in recipe.items() if v is not None)
    lines = (
        f"model: {board.model} ({model['kind']}, {model['hash'][:8]})",
        f"data: {board.data}",
        f"training: {training}",
        f"seeds: {', '.join(map(str, board.seeds))}",
        f"retention text: {board.retention or 'none'}",
        f"suite version: {shared['suite_version']}",
    )
    return tuple(map(one_line, lines))


def _legend(board: Board) -> str:
    """What the columns mean: first those of every board, then those that this one has too."""
    shown = {measure.name for table in board.tables for measure in _shown(table)}
    legends = [m.legend for m in MEASURES if m.show == "always"]
    legends += [m.legend for m in MEASURES if m.name in shown]
    return " ".join(["n: seeds.", *dict.fromkeys(legends)])


def _shown(table: Table) -> list[Measure]:
    """The measures that have a column in a table."""

    def has(measure: Measure) -> bool:
        values = [row.values[measure.name] for row in table.rows]
        if measure.show == "nonzero":
            return any(value.mean for value in values if value)
        return measure.show == "always" or any(value is not None for value in values)

    return [m for m in MEASURES if has(m) and (m.in_sequences or not table.stages)]


def _table(table: Table) -> Section:
    shown = _shown(table)
    spread = {m.name for m in shown if _has_interval(m, table.rows)}
    columns = [Column("method", words=_LABEL, left=True), Column("n")]
    for measure in shown:
        arrow = _ARROWS[better(measure, any(row.lower for row in table.rows))]
        columns.append(Column(measure.heading + arrow, measure.importance))
        columns += [Column("±", measure.interval)] if measure.name in spread else []
    return Section(
        title=_title(table),
        columns=tuple(columns),
        rows=tuple(_cells(row, shown, spread) for row in table.rows),
        notes=tuple(map(one_line, table.notes)),
    )


def _has_interval(measure: Measure, rows: Sequence[Row]) -> bool:
    found = (row.values[measure.name] for row in rows)
    return measure.interval > 0 and any(one.half is not None for one in found if one)


def _cells(row: Row, shown: Sequence[Measure], spread: Set[str]) -> tuple[str, ...]:
    seeds = str(row.done) if row.done == row.planned else f"{row.done}/{row.planned}"
    cells = [one_line(row.method), seeds]
    for measure in shown:
        value, factor = row.values[measure.name], scale(measure.unit, row.lower)
        is_reference = row.reference and measure.versus == "difference"
        mark = "*" if measure.name in row.leading else ""
        cells.append("ref" if is_reference else mark + mean_text(value, measure.format, factor))
        form = measure.format.lstrip("+z")
        cells += [half_text(value, factor, form)] if measure.name in spread else []
    return tuple(cells)


def _title(table: Table) -> str:
    """Such as "RTE: accuracy ×100, majority 50.00 (to be forgotten: cola)"."""
    if table.task in (AVERAGE, GLUE_AVERAGE):
        return f"{table.title} ×100"
    metric = title_of(table.metric or "no finished cell")
    metric = metric.replace(AVERAGE, "mean over tasks") if table.stages else metric
    factor = " ×100" if table.metric else ""
    factor = ", less is better" if is_lower(table.metric or "") else factor
    if table.majority is not None:
        factor += f", majority {100 * table.majority:.2f}"
    forget = f" (to be forgotten: {', '.join(table.forget)})" if table.forget else ""
    return one_line(f"{table.title}: {metric}{factor}{forget}")


def _standings(board: Board) -> list[Section]:
    """A row per method over all tasks of the average."""
    columns = (
        Column("method", words=_LABEL, left=True),
        Column("n"),
        Column("IQM\n↑", 9),
        Column("low", 7),
        Column("high", 7),
        Column("rank\n↓", 8),
        Column("Borda\n↑", 6),
        Column("P(above\nfinetune)\n↑", 8),
    )
    rows = [
        (
            one_line(found.method),
            str(found.scores),
            f"{100 * found.iqm:z.2f}",
            f"{100 * found.low:z.2f}",
            f"{100 * found.high:z.2f}",
            f"{found.rank:.2f}",
            f"{found.borda:.1f}",
            MISSING if found.improvement is None else f"{found.improvement:.2f}",
        )
        for found in board.standings
    ]
    title = (
        "Over the tasks of the average: interquartile mean of n scores ×100 with its 95 % interval "
        "(seeds drawn anew within each task), mean rank, Borda count, and how often a seed's score "
        "is above one of finetune's"
    )
    return [Section(title, columns, tuple(rows))] if rows else []


def _verdicts(board: Board) -> list[Section]:
    """A row per task and method, in words."""
    columns = (
        Column("task", words=_LABEL, left=True),
        Column("method", words=_LABEL, left=True),
        Column("n"),
        Column("target", words=28, left=True),
        Column("retention", words=28, left=True),
        Column("seeds to\ntell target", 5),
    )
    rows = []
    for verdict in board.verdicts:
        target, retention = (verdict.found[name] for name in JUDGED)
        n = max(one.difference.n for one in (target, retention) if one)
        said = (one_line(verdict.title), one_line(verdict.method), str(n))
        rows.append((*said, *(verdict_text(verdict, name) for name in JUDGED), _seeds(verdict)))
    title = (
        "Against finetune: paired t-tests over seeds at 5 %, Holm over this board's tasks and "
        "methods (the average by itself); better, worse: the gain with its 95 % interval; no "
        "difference shown (±: what would have been)"
    )
    return [Section(title, columns, tuple(rows), board.limits)] if rows else []


def _one_seed(board: Board) -> list[Section]:
    """A row per task and method that has one seed, where answers are at hand."""
    columns = (
        Column("task", words=_LABEL, left=True),
        Column("method", words=_LABEL),
        Column("rows"),
        Column("only it\nright", 8),
        Column("only finetune\nright", 8),
        Column("p", 7),
        Column("p\n(Holm)", 6),
        Column("so it has", words=28),
    )
    rows = [
        (
            *map(one_line, (found.title, found.method)),
            str(found.rows),
            str(found.more),
            str(found.fewer),
            f"{found.p:.3g}",
            f"{found.p_holm:.3g}",
            found.word,
        )
        for found in board.one_seed
    ]
    title = (
        "One seed, against finetune: McNemar's exact test on the answers to the dev rows, at 5 %, "
        "Holm over this board. It is of these two runs: another seed may give other answers"
    )
    return [Section(title, columns, tuple(rows))] if rows else []


def _seeds(verdict: Verdict) -> str:
    """How many would show the difference on the target, where these do not."""
    found = verdict.found["after"]
    if not found or not found.difference.mean or verdict.words["after"] != "no difference shown":
        return MISSING
    return f"more than {MOST_SEEDS}" if found.needed is None else str(found.needed)


def _searches(board: Board) -> list[Section]:
    """A row per task and method whose settings were searched."""
    columns = (
        Column("task", words=_LABEL, left=True),
        Column("method", words=_LABEL),
        Column("trials"),
        Column("failed", 3),
        Column("searched", 6, words=28, left=True),
        Column("chosen", words=28, left=True),
        Column("best"),
        Column("worst", 8),
        Column("time\ns", 5),
        Column("in\ncells", 7),
    )
    rows = [
        (
            *map(one_line, (found.title, found.method)),
            str(found.asked["trials"]),
            str(found.failed),
            "; ".join(f"{name} {space}" for name, space in found.asked["space"].items()),
            ", ".join(f"{name}={value}" for name, value in found.chosen.items()) or "as asked",
            *(_plain(value, scale(SCORE, found.lower)) for value in (found.best, found.worst)),
            f"{found.seconds:.1f}",
            MISSING if found.cells is None else f"{found.cells:.1f}",
        )
        for found in board.searches
    ]
    if not rows:
        return []
    seeds = {found.asked["seed"] for found in board.searches}
    shares = {found.asked["share"] for found in board.searches}
    title = (
        "How settings were chosen: trials of each method on each task (the first as asked), seed "
        f"{', '.join(map(str, seeds))}, {' or '.join(f'{share:.0%}' for share in sorted(shares))} "
        "of the steps; their best and worst score on validation rows ×100, and what they took, "
        "also in cells of the same row"
    )
    return [Section(title, columns, tuple(rows))]


def _plain(value: float | None, factor: int) -> str:
    return MISSING if value is None else f"{factor * value:.2f}"


def _metrics(board: Board) -> list[Section]:
    """A row per metric that is not its task's primary one, and method."""
    columns = (
        Column("task", words=_LABEL, left=True),
        *(Column(heading, words=_LABEL, left=True) for heading in ("metric", "method")),
        *(Column(heading) for heading in ("n", "before", "after", "±")),
    )
    rows = []
    for found in board.metrics:
        factor = scale(SCORE, is_lower(found.metric))
        rows.append(
            (
                *map(one_line, (found.title, found.metric, found.method)),
                str(found.after.n),
                mean_text(found.before, "z.2f", factor),
                mean_text(found.after, "z.2f", factor),
                half_text(found.after, factor),
            )
        )
    return [Section("Other metrics of these tasks ×100", columns, tuple(rows))] if rows else []


def _transfers(board: Board) -> list[Section]:
    """A row per task, and columns per method that recovers anything, or less than nothing."""
    if not board.transfers:
        return []
    named = {method for found in board.transfers for method in found.recovered}
    methods = sorted(named, key=_oracle_first)
    title = (
        f"Negative transfer ×100: {REFERENCE} of {board.transfers[0].twin} (the twin) less "
        f"{REFERENCE} of {board.model}; ceiling of forgetting: the share of the rows in dispute "
        "whose right answer comes first once the planted one is struck out, untouched and tuned; "
        "the share of the transfer that a method recovers"
    )
    columns = [
        Column("task", words=_LABEL, left=True),
        Column("n"),
        Column("untouched", 3),
        Column("twin\nuntouched", 3),
        Column("tuned", 6),
        Column("twin\ntuned", 6),
        Column("transfer", 9),
        Column("±", 9),
        Column("ceiling\n%", 8),
        Column("ceiling\ntuned %", 4),
    ]
    for method in methods:
        columns += [Column(f"{method}\nrecovers %", 7), Column("±", 7)]
    rows = []
    for found in board.transfers:
        row = [
            one_line(found.title),
            str(found.negative.n if found.negative else 0),
            mean_text(found.before, "z.2f"),
            mean_text(found.twin_before, "z.2f"),
            mean_text(found.after, "z.2f"),
            mean_text(found.twin_after, "z.2f"),
            mean_text(found.negative, "+z.2f"),
            half_text(found.negative),
            mean_text(found.ceiling, ".0f"),
            mean_text(found.ceiling_after, ".0f"),
        ]
        for share in map(found.recovered.get, methods):
            row += [mean_text(share, "+z.0f"), half_text(share, form=".0f")]
        rows.append(tuple(row))
    two = ", ".join(one_line(found.title) for found in board.transfers if found.two_answers)
    notes = (f"{two}: of two answers, to unlearn the one is to learn the other",) if two else ()
    return [Section(one_line(title), tuple(columns), tuple(rows), notes)]


def _oracle_first(method: str) -> tuple[bool, str]:
    """The order of methods: one that is told what is wrong shows what the others could do."""
    return (not method.endswith(":oracle"), method)


def _elicitations(board: Board) -> list[Section]:
    """A row per task and method."""
    title = (
        "The base model's own answers to the forgetting prompts, where the truth is known: shares "
        "that are true and that repeat planted knowledge (conflict), the latter also among those "
        "that may be unlearned (kept) and those that are"
    )
    columns = (
        Column("task", words=_LABEL, left=True),
        Column("method", words=_LABEL, left=True),
        Column("n"),
        Column("answers", 5),
        Column("true\n%", 6),
        Column("conflict\n%", 7),
        Column("conflict\nin kept %", 7),
        Column("conflict in\nunlearned %", 8),
    )
    rows = [
        (
            one_line(found.title),
            one_line(found.method),
            str(found.answers.n),
            mean_text(found.answers, ".0f", 1),
            mean_text(found.true, ".0f"),
            mean_text(found.conflicting, ".0f"),
            mean_text(found.kept, ".0f"),
            mean_text(found.unlearned, ".0f"),
        )
        for found in board.elicitations
    ]
    return [Section(title, columns, tuple(rows))] if rows else []


def _rankings(board: Board) -> list[Section]:
    """A row per task and method."""
    title = (
        "What learning the task alone does to the answers that may be unlearned: the rise of their "
        "loss, in nats per token, and of the unlearned ones'; rank correlation of the forgetting "
        "confidence with it, and with its own limit for a small step (below 1 they rank "
        "differently); where the truth is known, ROC AUC (chance 0.5) of confidence and rise, "
        "conflict against true, of answers on items that the task asks about: those that its "
        "training rows teach, and the others"
    )
    headings = "rise", "unlearned", "rank:\nrise", "limit", "taught:\nAUC", "by rise"
    columns = (
        Column("task", words=_LABEL, left=True),
        Column("method", words=_LABEL),
        Column("n"),
        *(Column(heading, 9) for heading in (*headings, "others:\nAUC", "by rise")),
    )
    rows = []
    for one in board.rankings:
        signed = one.kept, one.unlearned, one.rise, one.limit
        areas = one.taught, one.taught_rise, one.untaught, one.untaught_rise
        figures = [mean_text(x, "+z.2f", 1) for x in signed] + [
            mean_text(x, ".2f", 1) for x in areas
        ]
        rows.append((one_line(one.title), one_line(one.method), str(one.kept.n), *figures))
    return [Section(title, columns, tuple(rows))] if rows else []


def _outsides(board: Board) -> list[Section]:
    """A row per measure of lm-evaluation-harness, task and method."""
    columns = (
        Column("its task", words=_LABEL, left=True),
        *(Column(heading, words=_LABEL, left=True) for heading in ("metric", "task", "method")),
        *(Column(heading) for heading in ("n", "before", "after", "±")),
    )
    rows = [
        (
            *map(one_line, (found.task, found.metric, found.title, found.method)),
            str(found.after.n),
            mean_text(found.before, ".4g", 1),
            mean_text(found.after, ".4g", 1),
            half_text(found.after, 1, ".2g"),
        )
        for found in board.outsides
    ]
    return (
        [Section("lm-evaluation-harness, in its own units", columns, tuple(rows))] if rows else []
    )


def _matrices(board: Board) -> list[Section]:
    """A table per method: rows are learned, columns are forgotten."""
    found = []
    for matrix in board.matrices:
        columns = [Column("learned", words=_LABEL, left=True)]
        columns += [Column(f"forgets\n{one_line(name)}", 9) for name in matrix.forgotten]
        rows = []
        for task in matrix.learned:
            changes = [matrix.changes.get((task, name)) for name in matrix.forgotten]
            rows.append((one_line(task), *(mean_text(each, "+z.1f") for each in changes)))
            if any(each and each.half is not None for each in changes):
                rows.append(("", *(half_text(each, form=".1f") for each in changes)))
        title = (
            f"{matrix.method}: change of the score relative to {REFERENCE}'s, in percent, by what "
            "is learned and forgotten (mixed: all others; ±: half-width of the 95 % interval)"
        )
        found.append(Section(one_line(title), tuple(columns), tuple(rows)))
    return found
