"""The prompts and answers that the pretraining text contains: those of the registered tasks.

They are written out here and not imported, because the checkpoints have read exactly these; a test
says so when a task's prompt is changed without training new checkpoints.
"""

from __future__ import annotations

from tasks.micro.sample import Sample

YES_NO = ("yes", "no")
NO_YES = ("no", "yes")
_FOLLOWS = "Does the claim follow from the text? Answer:"
_PAIR = "Sentence 1: {sentence1}\nSentence 2: {sentence2}\n"
_ASKED = "Question: {question}\nAnswer:"

PROMPTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "cola": ("Sentence: {sentence}\nIs this sentence acceptable English? Answer:", NO_YES),
    "sst2": (
        "Review: {sentence}\nIs this review negative or positive? Answer:",
        ("negative", "positive"),
    ),
    "mrpc": (_PAIR + "Do the two sentences mean the same? Answer:", NO_YES),
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
    "rte": ("Text: {sentence1}\nClaim: {sentence2}\n" + _FOLLOWS, YES_NO),
    "wnli": ("Text: {sentence1}\nClaim: {sentence2}\n" + _FOLLOWS, NO_YES),
    "mnli": ("Text: {premise}\nClaim: {hypothesis}\n" + _FOLLOWS, ("yes", "maybe", "no")),
    "stsb": (
        _PAIR + "How similar are the two sentences, from 0 to 5? Answer:",
        ("0", "1", "2", "3", "4", "5"),
    ),
    "sst5": (
        "Review: {sentence}\nHow good is it, from 1 to 5? Answer:",
        ("1", "2", "3", "4", "5"),
    ),
    "gsm8k": (_ASKED, ()),
    "qasc": (_ASKED, ()),
    "dental": (_ASKED, ()),
    "psychol": (_ASKED, ()),
}
"""Prompt and label words; without words, the answer stands in the row."""

SHARES = {
    "cola": 18, "rte": 22, "sst2": 10, "mrpc": 10, "qqp": 7, "qnli": 10, "wnli": 9, "mnli": 9,
    "stsb": 4, "sst5": 7, "gsm8k": 5, "qasc": 8, "dental": 10, "psychol": 6,
}  # fmt: skip
"""How often the pretraining text holds each task's question."""


def prompt(task_name: str, sample: Sample) -> str:
    """The task's prompt for the sample."""
    return PROMPTS[task_name][0].format(**sample.columns)


def answer(task_name: str, sample: Sample, label: int) -> str:
    """What the task's prompt is answered with if `label` is right."""
    words = PROMPTS[task_name][1]
    if words:
        return words[label]
    if "answer" in sample.columns:
        return sample.columns["answer"]
    return sample.columns[chr(ord("a") + label)]
