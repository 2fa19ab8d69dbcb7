"""The suite's version: part of every cell's hash, so that boards never mix two of them."""

SUITE_VERSION = "0.3.0"
"""Raised only when a score can change, for it reruns every grid: see CONTRIBUTING.md."""
