"""What one cell leaves behind. Missing is None, never a sentinel."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from bench.cells.cell import Identity

SCHEMA_VERSION = 8
ADDED = {
    "elicited": 2,
    "sequence": 3,
    "facts": 4,
    "lm_eval": 5,
    "generated": 6,
    "chance": 7,
    "retain_tasks": 8,
    "path": 8,
    "probe": 8,
    "ceiling": 8,
    "measured": 8,
    "earlier": 8,
}
"""Parts of a result that came later -> the version that brought them; None in older results, but
for `generated`, which their label of the data tells, `measured` and `earlier`."""


class Scores(TypedDict):
    """A model's scores on the dev rows of the cell's task: metric -> value, in metric units."""

    primary: str  # the metric that boards show
    before: dict[str, float]  # the untouched base model
    after: dict[str, float]  # the tuned one
    notes: NotRequired[
        list[str]
    ]  # what the board says of it: scores in place of undefined ones, ...


class Given(TypedDict):
    """What is kept of a model's answers to the dev rows."""

    share: float  # of the commonest answer among all of them; 1: every row got the same
    hash: str  # of all answers, in the order of the rows


class Chance(TypedDict):
    """What answers are worth that look at no row, and whether the model's do."""

    majority: float | None  # primary score of the commonest gold answer; None: answers are losses
    before: Given
    after: Given


class SequenceScores(TypedDict):
    """Tasks learned one after the other: row 0 of `matrix` are the base model's scores on each,
    row k those after stage k (R of `board.sequence_measures`), by each task's primary metric."""

    tasks: list[str]
    metrics: list[str]
    matrix: list[list[float]]


class Flips(TypedDict):
    """How answers changed, as shares of the dev rows."""

    lost: float  # right before, wrong now
    gained: float  # wrong before, right now
    lost_adjusted: NotRequired[float]  # what of it is beyond chance
    gained_adjusted: NotRequired[float]


class RetainedTask(TypedDict):
    """Another task's dev rows, before and after."""

    rows: int
    metric: str  # its primary one
    before: float
    after: float
    flips: Flips | None  # None where answers are not right or wrong


class PathPoint(TypedDict):
    """What the model scores at θ0 + α(θ − θ0)."""

    alpha: float  # 0: the untouched base model, 1: the tuned one
    score: float  # the primary metric on the dev rows
    retention: float | None  # loss on the retention text, nats per token
    retain_tasks: dict[str, float]  # each retention task's primary metric


class ProbePoint(TypedDict):
    """What the model scores in the midst of its training, on a few rows."""

    step: int  # optimizer steps done; 0: the untouched base model
    score: float | None  # the primary metric; None where answers are written
    loss: float | None  # of the right answers, nats per token; None of a head
    retention: float | None  # loss on the retention text, nats per token


class Probe(TypedDict):
    """A learning curve of scores, and what it was scored on."""

    rows: int  # dev rows
    tokens: int  # of the retention text
    points: list[ProbePoint]


class Retention(TypedDict):
    """Mean loss on the retention text, in nats per token."""

    text: str  # "sampled from the base model", or the file's name
    tokens: int  # tokens that were scored
    before: float
    after: float
    error: NotRequired[float | None]  # standard error of the rise from the choice of text


class Forgotten(TypedDict):
    """The forgetting tasks' dev rows: mean loss of the right answer (nats per token), and the share
    answered right, of tasks whose answers are right or wrong; None where there is no such task."""

    tasks: list[str]
    rows: int
    loss_before: float
    loss_after: float
    accuracy_before: float | None
    accuracy_after: float | None


class Recall(TypedDict):
    """Questions on what pretraining told: share whose true answer is likelier than a wrong one."""

    questions: int
    before: float
    after: float


class Facts(TypedDict):
    """Recall of facts; disputed are those that a conflicted model was told in two ways."""

    settled: Recall
    disputed: Recall


class Ceiling(TypedDict):
    """Dev rows to which conflicting knowledge gives another answer, the foil: share whose right
    answer comes first once the foil is struck out. What forgetting alone could bring about."""

    rows: int
    answers: int  # to choose from; of two, the right one is all that is left
    before: float
    after: float


class LmEval(TypedDict):
    """Scores of lm-evaluation-harness: its task, or a part of one -> "metric,filter" -> value."""

    version: str  # of that package
    before: dict[str, dict[str, float]]
    after: dict[str, dict[str, float]]


class ScoredOn(TypedDict):
    """The dev rows that scores are of."""

    rows: NotRequired[int | None]  # how many; None: all; not said: as the recipe says
    score: NotRequired[Literal["validation"]]  # where these are all that is scored


class ReadOn(TypedDict):
    """The text whose loss is measured."""

    text: NotRequired[str | None]  # its hash; None: sampled from the model
    tokens: NotRequired[int]


class ForgottenOn(TypedDict):
    """The forgetting tasks that are scored."""

    tasks: list[str]
    hash: NotRequired[str]  # of their rows
    rows: NotRequired[int]  # that are scored, in all


class Measured(TypedDict, total=False):
    """Part of a result -> what it was measured on."""

    scores: ScoredOn
    retention: ReadOn
    forgotten: ForgottenOn
    facts: dict[str, Any]  # nothing
    lm_eval: dict[str, Any]  # tasks, rows
    retain_tasks: dict[str, Any]  # tasks -> hashes of what they ask and of their rows; rows
    path: dict[str, Any]  # points, and what each was scored on
    probe: dict[str, Any]  # steps between two points; hash of the text


class Earlier(TypedDict):
    """What was measured on something else than what is asked for now."""

    part: str  # of `bench.cells.measured.PARTS`
    on: dict[str, Any]  # as in `measured`
    fields: dict[str, Any]  # its keys of the result


class Judged(TypedDict):
    """Answers of the base model, and how many of them repeat conflicting or true knowledge: None
    where the data does not tell (only the micro world does, and not of every answer)."""

    answers: int
    conflicting: int | None
    true: int | None


class Ranked(TypedDict):
    """Answers on items that the learning task asks about, and how well the outdated ones among them
    are told from the true ones; None unless both occur."""

    answers: int
    conflicting: int
    auc: float | None  # ROC AUC of the forgetting confidence
    auc_rise: float | None  # of the rise of their loss from θ0 to θ*


class Weighed(TypedDict):
    """The answers that may be unlearned, by their forgetting confidence FC and by what it stands
    for: the rise of an answer's loss from θ0 to θ*, in nats per token."""

    rise_kept: float  # mean over those that may be unlearned
    rise_unlearned: float  # and over those that are
    rank_rise: float | None  # Spearman's rank correlation of FC with that rise ...
    rank_limit: float | None  # ... and with its limit α → 0; None where all are tied
    taught: Ranked | None  # of all answers, those on items that the training rows teach ...
    untaught: Ranked | None  # ... and that they do not; None where there is none
    scores_kept: NotRequired[list[float]]  # (FC − what all answers share) / α, three digits ...
    scores_unlearned: NotRequired[list[float]]  # ... of those kept, and of those that are unlearned


class Elicited(TypedDict):
    """What a method that unlearns the base model's own answers drew from it."""

    all: Judged
    kept: Judged  # those that may be unlearned (lwf.keep)
    unlearned: Judged  # those that are, D_U
    auc: float | None  # ROC AUC of the forgetting confidence for "conflicting", over all ...
    auc_kept: float | None  # ... over those kept; None unless both kinds are among them
    weighed: NotRequired[Weighed | None]  # None where the selection goes by no confidence


class Tuning(TypedDict):
    """What came of the search for a cell's settings; `tuned` of its identity says how it was."""

    chosen: dict[str, Any]  # setting -> value; none where the first trial, the defaults, was best
    failed: int  # trials without a score
    best: float | None  # score on validation rows, in metric units; None where all failed
    worst: float | None
    seconds: float  # of all trials, as boards count a method's time


class Costs(TypedDict):
    """Seconds of wall time, each part once; `method` is what boards compare."""

    load: float  # model and data
    score_before: float
    prepare: float  # the method's own preparation, shared work at its first price included
    compile: NotRequired[float]  # warm-up of train.compile, in no other part but the total
    train: float
    finish: float
    score_after: float
    method: float  # prepare + train + finish
    total: float
    steps: int  # optimizer steps on the task
    steps_per_second: float | None
    peak_memory_mib: float | None  # of the whole cell; None where the system cannot tell
    above_model_mib: NotRequired[float | None]  # that above what is in use with the loaded model


class CellResult(TypedDict):
    """One cell, finished, failed or refused. Written as `cells/NAME.json`; predictions beside."""

    schema_version: int
    status: Literal["done", "failed", "refused"]  # refused: its method does not fit
    error: str | None  # the reason, where it is not done
    hash: str  # of `cell`
    cell: Identity  # what was run, whole
    labels: dict[str, str]  # display names that are no part of the identity: model, data
    generated: bool  # whether rows are made up: the scores are not those of the published task
    scores: Scores | None
    chance: Chance | None  # None where `cell` is a sequence
    sequence: SequenceScores | None  # None where `cell` is one task
    flips: Flips | None
    retention: Retention | None
    forgotten: Forgotten | None
    facts: Facts | None  # None where the data has no such questions
    ceiling: Ceiling | None  # None where the data knows of no foil, or no answer is chosen
    lm_eval: LmEval | None  # None where no such tasks were asked for
    retain_tasks: dict[str, RetainedTask] | None  # None where no retention tasks were asked for
    path: list[PathPoint] | None  # by α; None where it was not asked for
    probe: Probe | None  # None where it was not asked for
    elicited: Elicited | None  # None for methods that elicit nothing
    tuning: NotRequired[Tuning]  # only where a search chose the settings
    measured: Measured
    earlier: list[Earlier]  # measured before, on something else
    drift: float | None  # squared distance of the pretrained weights from where they were
    curve: list[dict[str, float]]  # step, loss, lr and what the method logged
    costs: Costs | None
    data: dict[str, int]  # train_rows, dev_rows, truncated_rows
    provenance: dict[str, Any]  # commit, dirty flag, versions, hardware, time, resumes
    answers: NotRequired[dict[str, str]]  # file of answers -> sha256 of its text


class Predictions(TypedDict):
    """Per-example answers on the dev rows, in row order: labels, scores or texts, as the task's
    kind asks for. Written as `cells/NAME.rows.json`."""

    schema_version: int
    hash: str
    id: list[str]
    gold: list[Any]
    before: list[Any]
    after: list[Any]
    scores_after: list[list[float]]  # per answer: log-likelihood or logit, rounded to 5 digits


class Answered(TypedDict):
    """What models answered to some rows, in row order; how models are called is the part's."""

    id: list[str]
    gold: list[Any]
    answers: dict[str, list[Any]]  # model -> its answers; of `forgotten` where right or wrong
    choices: NotRequired[list[int]]  # of retention tasks: answers to choose from; 1: it is written
    losses: NotRequired[dict[str, list[float]]]  # model -> of the right answers, nats per token


class ReadText(TypedDict):
    """How well models predict a text, block by block."""

    tokens: list[int]  # that are predicted
    nats: dict[str, list[float]]  # model -> its loss on each block, summed over tokens


class PartAnswers(TypedDict):
    """What a part of the result is computed from. Models are called before and after, on the path
    by α, of the probe by step. Losses have ten significant digits."""

    part: str  # of `bench.cells.measured.PARTS`
    on: dict[str, Any]  # as in `measured`
    rows: dict[str, Answered]  # by task; of facts settled, disputed, of scores by what it gives
    text: ReadText | None


class FurtherAnswers(TypedDict):
    """Answers behind the parts of a result that its dev rows do not give. Written as
    `cells/NAME.parts.rows.json`."""

    schema_version: int
    hash: str
    parts: list[PartAnswers]
