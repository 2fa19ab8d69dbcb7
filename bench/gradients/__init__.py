"""Per-example gradients and Fisher information: a library that knows nothing of the suite."""
