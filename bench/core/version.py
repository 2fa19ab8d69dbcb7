"""The suite's version, and since which one scores are what they are."""

SUITE_VERSION = "0.5.0"

SCORES_VERSION = "0.5.0"
"""The version whose scores this one still gives: part of every cell's hash, so that boards never
mix two of them. Raised to the suite's only when scores of all cells can change, for it reruns every
grid: see CONTRIBUTING.md. A method whose scores alone change raises its own `version`."""


def is_older(version: str) -> bool:
    """Whether scores of `version`, such as "0.2.0", may not be this one's."""
    theirs, ours = (tuple(map(int, each.split("."))) for each in (version, SCORES_VERSION))
    return theirs < ours
