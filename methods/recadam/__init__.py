"""RecAdam (Chen et al., EMNLP 2020)."""

from methods.recadam.method import RecAdam

__all__ = ["RecAdam"]
