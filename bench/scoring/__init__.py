"""From what a model puts out to scores: ours, `evaluate`'s, other suites', GLUE's server."""
