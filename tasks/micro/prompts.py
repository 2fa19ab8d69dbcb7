"""The prompts and label words that the pretraining text contains: those of the registered tasks.

They are written out here and not imported, because the checkpoints have read exactly these; a test
says so when a task's prompt is changed without training new checkpoints.
"""

from __future__ import annotations

from tasks.micro.sample import Sample

YES_NO = ("yes", "no")
NO_YES = ("no", "yes")
_FOLLOWS = "Text: {sentence1}\nClaim: {sentence2}\nDoes the claim follow from the text? Answer:"

PROMPTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "cola": ("Sentence: {sentence}\nIs this sentence acceptable English? Answer:", NO_YES),
    "sst2": (
        "Review: {sentence}\nIs this review negative or positive? Answer:",
        ("negative", "positive"),
    ),
    "mrpc": (
        "Sentence 1: {sentence1}\nSentence 2: {sentence2}\n"
        "Do the two sentences mean the same? Answer:",
        NO_YES,
    ),
    "qqp": (
        "Question 1: {question1}\nQuestion 2: {question2}\n"
        "Do the two questions ask the same? Answer:",
        NO_YES,
    ),
    "qnli": (
        "Question: {question}\nSentence: {sentence}\n"
        "Does the sentence answer the question? Answer:",
        YES_NO,
    ),
    "rte": (_FOLLOWS, YES_NO),
    "wnli": (_FOLLOWS, NO_YES),
}

SHARES = {"cola": 22, "rte": 26, "sst2": 10, "mrpc": 12, "qqp": 9, "qnli": 13, "wnli": 8}
"""How often the pretraining text holds each task's question."""


def answered(task_name: str, sample: Sample, label: int) -> str:
    """The task's prompt for the sample, answered with the word of `label`."""
    prompt, words = PROMPTS[task_name]
    return f"{prompt.format(**sample.columns)} {words[label]}"
