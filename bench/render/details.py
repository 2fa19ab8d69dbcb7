"""Sections of what some boards have: searches, retention tasks, paths, transfers, answers."""

from __future__ import annotations

from bench.board.leaderboard import Board
from bench.board.measures import SCORE, scale
from bench.board.path_table import Point, WeightPath
from bench.cells.cell import REFERENCE
from bench.render.section import LABEL, Column, Section
from bench.render.wording import MISSING, half_text, mean_text, one_line
from bench.scoring.metrics import is_lower


def details(board: Board) -> list[Section]:
    """What this board has besides its tables and verdicts, in the order of reading."""
    return [
        *_one_seed(board),
        *_searches(board),
        *_metrics(board),
        *_retained(board),
        *_paths(board),
        *_best_points(board),
        *_transfers(board),
        *_elicitations(board),
        *_rankings(board),
        *_outsides(board),
        *_matrices(board),
    ]


def _one_seed(board: Board) -> list[Section]:
    """A row per task and method that has one seed, where answers are at hand."""
    columns = (
        Column("task", words=LABEL, left=True),
        Column("method", words=LABEL, left=True),
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


def _searches(board: Board) -> list[Section]:
    """A row per task and method whose settings were searched."""
    columns = (
        Column("task", words=LABEL, left=True),
        Column("method", words=LABEL, left=True),
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
        Column("task", words=LABEL, left=True),
        *(Column(heading, words=LABEL, left=True) for heading in ("metric", "method")),
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


def _retained(board: Board) -> list[Section]:
    """A row per task that was learned, retention task and method."""
    title = (
        "Retention tasks, which were not learned, before and after ×100: items lost (right before, "
        "wrong now) and gained, in percent of the rows and beyond chance"
    )
    columns = (
        Column("learned", words=LABEL, left=True),
        Column("retained", words=LABEL, left=True),
        Column("metric", 3, words=LABEL, left=True),
        Column("method", words=LABEL, left=True),
        Column("n"),
        *(Column(heading) for heading in ("before", "after", "change")),
        Column("±", 8),
        Column("lost\n%"),
        Column("±", 7),
        Column("gained\n%"),
        Column("±", 7),
    )
    rows = []
    for found in board.retained:
        factor = scale(SCORE, is_lower(found.metric))
        rows.append(
            (
                *map(one_line, (found.title, found.task, found.metric, found.method)),
                str(found.after.n),
                mean_text(found.before, "z.2f", factor),
                mean_text(found.after, "z.2f", factor),
                mean_text(found.change, "+z.2f", factor),
                half_text(found.change, factor),
                mean_text(found.lost, ".1f"),
                half_text(found.lost, form=".1f"),
                mean_text(found.gained, ".1f"),
                half_text(found.gained, form=".1f"),
            )
        )
    return [Section(title, columns, tuple(rows))] if rows else []


_SCORED = (
    *(Column(heading) for heading in ("n", "score", "±")),
    Column("retain\n+nats"),
    Column("±"),
)


def _paths(board: Board) -> list[Section]:
    """A row per task, method and α."""
    columns = (
        Column("task", words=LABEL, left=True),
        Column("method", words=LABEL, left=True),
        Column("α"),
        *_SCORED,
    )
    rows = [
        (one_line(found.title), one_line(found.method), f"{point.alpha:g}", *_scored(found, point))
        for found in board.paths
        for point in found.points
    ]
    title = (
        "The path of weights θ0 + α(θ − θ0): score ×100, and loss on the retention text over θ0's"
    )
    return [Section(title, columns, tuple(rows))] if rows else []


def _best_points(board: Board) -> list[Section]:
    """A row per task and method."""
    columns = (
        Column("task", words=LABEL, left=True),
        Column("method", words=LABEL, left=True),
        Column("best\nα"),
        *_SCORED,
        *(Column(heading, 8) for heading in ("over\nWiSE-FT", "±")),
    )
    rows = []
    for found in board.paths:
        factor = scale(SCORE, is_lower(found.metric))
        rows.append(
            (
                *map(one_line, (found.title, found.method)),
                f"{found.best.alpha:g}",
                *_scored(found, found.best),
                mean_text(found.versus, "+z.2f", factor),
                half_text(found.versus, factor),
            )
        )
    title = (
        f"The best point of each path, and its score over that of {REFERENCE}'s, whose path is "
        "WiSE-FT; each is chosen on the rows that it is scored on"
    )
    return [Section(title, columns, tuple(rows))] if rows else []


def _scored(path: WeightPath, point: Point) -> tuple[str, ...]:
    """The cells of `_SCORED`."""
    factor = scale(SCORE, is_lower(path.metric))
    return (
        str(point.score.n),
        mean_text(point.score, "z.2f", factor),
        half_text(point.score, factor),
        mean_text(point.retention, "+z.3f", 1),
        half_text(point.retention, 1, ".3f"),
    )


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
        Column("task", words=LABEL, left=True),
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
        "that may be unlearned (kept) and among the unlearned ones"
    )
    columns = (
        Column("task", words=LABEL, left=True),
        Column("method", words=LABEL, left=True),
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
        Column("task", words=LABEL, left=True),
        Column("method", words=LABEL, left=True),
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
        Column("its task", words=LABEL, left=True),
        *(Column(heading, words=LABEL, left=True) for heading in ("metric", "task", "method")),
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
        columns = [Column("learned", words=LABEL, left=True)]
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
