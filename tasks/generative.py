"""The tasks of the paper on Learning With Forgetting (arXiv 2505.19715): questions to answer."""

from __future__ import annotations

from bench.rows.task import SPLITS, Classic, Hub, Task, register_task

ANSWER = "Question: {question}\nAnswer:"
CHOICE = ("accuracy", "accuracy_norm")
STARS = ("1", "2", "3", "4", "5")
SST = {"train": "stsa.fine.train", "dev": "stsa.fine.dev"}
MMLU = {
    "train": "professional_psychology_val.csv",
    "dev": "professional_psychology_test.csv",
}
VALIDATED = {"train": "train", "dev": "validation"}


def _letters(count: int) -> tuple[str, ...]:
    """The columns of so many choices: a, b, c and so on."""
    return tuple("abcdefgh"[:count])


def _choices(count: int, form: str) -> dict[str, str]:
    """Our columns of choices -> where the source has them."""
    return {name: form.format(i) for i, name in enumerate(_letters(count))}


SST5 = Task(
    name="sst5",
    kind="classification",
    columns=("sentence",),
    labels=("very negative", "negative", "neutral", "positive", "very positive"),
    words=STARS,
    prompt="Review: {sentence}\nHow good is it, from 1 to 5? Answer:",
    metrics=("accuracy",),
    classic=Classic(
        "generative",
        "sst5",
        (SST,),
        columns={"label": 0, "sentence": 1},
        label_spellings=("0", "1", "2", "3", "4"),
        format="sst",
    ),
    hub=Hub(
        "SetFit/sst5",
        "default",
        "e51bdcd8cd3a30da231967c1a249ba59361279a3",
        VALIDATED,
        {"sentence": "text", "label": "label"},
    ),
    paper="Socher et al., 2013, Recursive Deep Models for Semantic Compositionality Over a "
    "Sentiment Treebank, EMNLP",
    about="How good is a film, by a sentence of its review, on a scale of five?",
    rows=(8544, 1101),
    counted=SPLITS,
)

GSM8K = Task(
    name="gsm8k",
    kind="generation",
    columns=("question",),
    prompt=ANSWER,
    metrics=("exact_match",),
    classic=Classic(
        "generative",
        "gsm8k",
        ({"train": "train.jsonl", "dev": "test.jsonl"},),
        columns={"question": "question", "answer": "answer"},
        format="jsonl",
    ),
    hub=Hub(
        "openai/gsm8k",
        "main",
        "cc7b047b6e5bb11b4f1af84efc572db110a51b3c",
        {"train": "train", "dev": "test"},
        {"question": "question", "answer": "answer"},
    ),
    paper="Cobbe et al., 2021, Training Verifiers to Solve Math Word Problems, arXiv 2110.14168",
    about="Word problems of grade school mathematics, solved step by step; the number after #### "
    "counts.",
    rows=(7473, 1319),
    counted=SPLITS,
    target="answer",
    extract=r"#### *(\$?-?[0-9.,]+)",
    bare_numbers=True,
    max_new_tokens=256,
    note="scored on its test split",
)

QASC = Task(
    name="qasc",
    kind="multiple_choice",
    columns=("question",),
    labels=_letters(8),
    prompt=ANSWER,
    metrics=CHOICE,
    classic=Classic(
        "generative",
        "qasc",
        ({"train": "train.json", "dev": "dev.json"},),
        columns={"question": "query", **_choices(8, "cands.{}"), "label": "answer"},
        format="json",
        other=Classic(  # as AI2 hands it out
            "generative",
            "qasc",
            ({"train": "train.jsonl", "dev": "dev.jsonl"},),
            columns={
                "question": "question.stem",
                **_choices(8, "question.choices.{}.text"),
                "label": "answerKey",
            },
            label_spellings=tuple("ABCDEFGH"),
            format="jsonl",
        ),
    ),
    hub=Hub(
        "allenai/qasc",
        "default",
        "a34ba204eb9a33b919c10cc08f4f1c8dae5ec070",
        VALIDATED,
        {"question": "question", **_choices(8, "choices.text.{}"), "label": "answerKey"},
        label_spellings=tuple("ABCDEFGH"),
    ),
    paper="Khot et al., 2020, QASC: A Dataset for Question Answering via Sentence Composition, "
    "arXiv 1910.11473",
    about="Which of eight answers to a question of school science is right?",
    rows=(8134, 926),
    counted=("dev",),
)

DENTAL = Task(
    name="dental",
    kind="multiple_choice",
    columns=("question",),
    labels=_letters(4),
    prompt=ANSWER,
    metrics=CHOICE,
    classic=Classic(
        "generative",
        "dental",
        ({"train": "train.json", "dev": "dev.json"},),
        columns={
            "question": "question",
            **{name: f"op{name}" for name in _letters(4)},
            "label": "cop",
        },
        label_spellings=(1, 2, 3, 4),
        format="jsonl",
        only={"subject_name": "Dental"},
    ),
    hub=Hub(
        "openlifescienceai/medmcqa",
        "default",
        "91c6572c454088bf71b679ad90aa8dffcd0d5868",
        VALIDATED,
        {"question": "question", **{name: f"op{name}" for name in _letters(4)}, "label": "cop"},
        only={"subject_name": "Dental"},
    ),
    paper="Pal et al., 2022, MedMCQA, arXiv 2203.14371; its subject Dental",
    about="Which of four answers to a question of a dental entrance exam is right?",
)

PSYCHOL = Task(
    name="psychol",
    kind="multiple_choice",
    columns=("question",),
    labels=_letters(4),
    prompt=ANSWER,
    metrics=CHOICE,
    classic=Classic(
        "generative",
        "psychol",
        (MMLU,),
        columns={"question": 0, "a": 1, "b": 2, "c": 3, "d": 4, "label": 5},
        label_spellings=tuple("ABCD"),
        format="csv",
    ),
    hub=Hub(
        "cais/mmlu",
        "professional_psychology",
        "c30699e8356da336a370243923dbaf21066bb9fe",
        {"train": "validation", "dev": "test"},
        {"question": "question", **_choices(4, "choices.{}"), "label": "answer"},
    ),
    paper="Hendrycks et al., 2021, Measuring Massive Multitask Language Understanding, arXiv "
    "2009.03300; its subject professional psychology",
    about="Which of four answers to a question of a psychologist's exam is right?",
    rows=(69, 612),
    counted=SPLITS,
    note="trained on MMLU's validation split, scored on its test split",
)

GENERATIVE = (SST5, GSM8K, QASC, DENTAL, PSYCHOL)

for _task in GENERATIVE:
    register_task(_task)
