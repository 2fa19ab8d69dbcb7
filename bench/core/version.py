"""The suite's version: part of every cell's hash, so that boards never mix two of them."""

SUITE_VERSION = "0.4.0"
"""Raised only when a score can change, for it reruns every grid: see CONTRIBUTING.md."""


def is_older(version: str) -> bool:
    """Whether `version`, such as "0.2.0", came before this one."""
    theirs, ours = (tuple(map(int, each.split("."))) for each in (version, SUITE_VERSION))
    return theirs < ours
