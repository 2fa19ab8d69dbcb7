"""Mixout (Lee et al., ICLR 2020)."""

from methods.mixout.method import Mixout

__all__ = ["Mixout"]
