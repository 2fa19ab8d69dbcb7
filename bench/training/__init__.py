"""The contract of a method, the one training loop, and its checkpoints."""
