"""Models in memory: loading, rows as tokens, batches, likelihoods, written text, compilation."""
