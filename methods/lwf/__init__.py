"""Learning With Forgetting (Jiang et al., EMNLP 2025)."""

from methods.lwf.method import LWF

__all__ = ["LWF"]
