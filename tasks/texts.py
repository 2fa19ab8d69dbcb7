"""Tasks of any text file: a parallel one to translate, a plain one to predict."""

from __future__ import annotations

from bench.rows.task import Classic, Task, register_task

TEXTS = (
    Task(
        name="translation",
        kind="generation",
        columns=("source",),
        prompt="Source: {source}\nTranslation:",
        metrics=("bleu",),
        classic=Classic(
            "generative",
            "translation",
            ({"train": "train.tsv", "dev": "dev.tsv"},),
            columns={"source": 0, "target": 1},
        ),
        paper="Post, 2018, A Call for Clarity in Reporting BLEU Scores, arXiv 1804.08771",
        about="Translate a sentence, between any two languages: the files have two columns.",
        target="target",
        max_new_tokens=128,
    ),
    Task(
        name="text",
        kind="text",
        columns=(),
        prompt="",
        metrics=("perplexity",),
        classic=Classic(
            "generative",
            "text",
            ({"train": "train.txt", "dev": "dev.txt"},),
            columns={"text": 0},
            format="lines",
        ),
        paper="Jelinek et al., 1977, Perplexity: A Measure of the Difficulty of Speech Recognition "
        "Tasks, JASA 62",
        about="Predict any text, token by token; every line of its files is a row.",
        target="text",
    ),
)

for _task in TEXTS:
    register_task(_task)
