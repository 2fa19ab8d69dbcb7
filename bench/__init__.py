"""What is the same for all methods and all tasks: the grid, the loop, the scores, the boards."""

SUITE_VERSION = "0.3.0"
