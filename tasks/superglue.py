"""SuperGLUE (Wang et al., 2019, arXiv 1905.00537): the tasks with few rows."""

from __future__ import annotations

from bench.rows.task import Classic, Hub, Task, register_task

REVISION = "3de24cf8022e94f4ee4b9d55a6f539891524d646"  # of aps/super_glue
ENTAILMENT = ("entailment", "contradiction", "neutral")


def _classic(folder: str, *columns: str, spellings: tuple[str | int, ...]) -> Classic:
    names: dict[str, str | int] = {column: column for column in (*columns, "label")}
    layout = {"train": "train.jsonl", "dev": "val.jsonl"}
    return Classic("superglue", folder, (layout,), names, spellings, format="jsonl")


def _hub(config: str, *columns: str) -> Hub:
    names = {column: column for column in (*columns, "label")}
    splits = {"train": "train", "dev": "validation"}
    return Hub("aps/super_glue", config, REVISION, splits, names)


SUPERGLUE = (
    Task(
        name="boolq",
        kind="classification",
        columns=("passage", "question"),
        labels=("false", "true"),
        words=("no", "yes"),
        prompt="Passage: {passage}\nQuestion: {question}?\nAnswer:",
        metrics=("accuracy",),
        classic=_classic("BoolQ", "passage", "question", spellings=(False, True)),
        hub=_hub("boolq", "passage", "question"),
        paper="Clark et al., 2019, BoolQ: Exploring the Surprising Difficulty of Natural Yes/No "
        "Questions, arXiv 1905.10044",
        about="Does a passage of Wikipedia say yes or no to a question?",
        rows=(9427, 3270),
    ),
    Task(
        name="cb",
        kind="classification",
        columns=("premise", "hypothesis"),
        labels=ENTAILMENT,
        words=("yes", "no", "maybe"),
        prompt="Text: {premise}\nClaim: {hypothesis}\nDoes the claim follow from the text? Answer:",
        metrics=("accuracy", "f1_macro"),
        classic=_classic("CB", "premise", "hypothesis", spellings=ENTAILMENT),
        hub=_hub("cb", "premise", "hypothesis"),
        paper="de Marneffe et al., 2019, The CommitmentBank, Sinn und Bedeutung 23",
        about="Is the author of a text committed to a claim, to its opposite, or to neither?",
        rows=(250, 56),
    ),
    Task(
        name="copa",
        kind="multiple_choice",
        columns=("premise", "question"),
        labels=("choice1", "choice2"),
        prompt="Question: {premise} What was the {question}?\nAnswer:",
        metrics=("accuracy", "accuracy_norm"),
        classic=_classic("COPA", "premise", "question", "choice1", "choice2", spellings=(0, 1)),
        hub=_hub("copa", "premise", "question", "choice1", "choice2"),
        paper="Roemmele et al., 2011, Choice of Plausible Alternatives, AAAI Spring Symposium",
        about="Which of two sentences is the cause, or the effect, of a third?",
        rows=(400, 100),
    ),
)

for _task in SUPERGLUE:
    register_task(_task)
