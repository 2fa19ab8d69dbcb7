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
    "recall_persons": (_ASKED, ()),
    "recall_classes": (_ASKED, ()),
    "recall_synonyms": (_ASKED, ()),
}
"""Prompt and label words; without words, the answer stands in the row."""

SHARES = {
    "cola": 16, "rte": 20, "sst2": 10, "mrpc": 14, "qqp": 8, "qnli": 12, "wnli": 10, "mnli": 14,
    "stsb": 6, "sst5": 7, "gsm8k": 5, "qasc": 6, "dental": 8, "psychol": 6,
    "recall_persons": 6, "recall_classes": 3, "recall_synonyms": 4,
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
        return sample.columns["foil" if label else "answer"]
    return sample.columns[chr(ord("a") + label)]
