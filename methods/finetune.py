"""Plain fine-tuning: the reference that every other method is compared with."""

from __future__ import annotations

from bench.training.method import Card, Method, register_method


@register_method("finetune")
class Finetune(Method):
    """AdamW on the task loss, and nothing else."""

    card = Card(
        title="Plain fine-tuning",
        paper="Loshchilov & Hutter 2019, arXiv 1711.05101 (AdamW)",
        equation="L = L_task",
        defaults="the run's recipe: this suite",
        passes="none",
    )
