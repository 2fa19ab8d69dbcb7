"""Distillation from the base model, Learning without Forgetting (Li & Hoiem 2016)."""

from methods.distill.method import Distill

__all__ = ["Distill"]
