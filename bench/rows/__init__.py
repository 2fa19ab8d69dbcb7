"""The contract of a task, and where its rows come from."""
