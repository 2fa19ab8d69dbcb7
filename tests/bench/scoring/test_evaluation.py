"""Batches of rows to score: each row once, and bounded in every direction."""

from __future__ import annotations

import random

from bench.network.batches import Encoded
from bench.scoring import evaluation as ev


def test_batches_hold_each_row_once_within_all_bounds() -> None:
    rng = random.Random("rows")
    lengths = [rng.randrange(1, 300) for _ in range(500)]
    answers = [[[7] * rng.randrange(1, 40) for _ in range(rng.choice([2, 8]))] for _ in lengths]
    prompts = [[7] * length for length in lengths]
    rows = Encoded([str(i) for i in range(500)], [0] * 500, prompts, answers, [], 0)
    for vocabulary, cached in ((50, 0), (50_000, 0), (50, 100_000), (1 << 40, 0)):
        batches = ev.length_batches(rows, vocabulary, cached)
        assert sorted(i for batch in batches for i in batch) == list(range(500))
        for batch in batches:
            written = max(len(answers[i]) * max(map(len, answers[i])) for i in batch)
            tokens = len(batch) * (max(lengths[i] for i in batch) + written)
            assert len(batch) == 1 or tokens <= ev._BATCH_TOKENS
            assert len(batch) == 1 or len(batch) * written * vocabulary <= ev._BATCH_LOGITS
            kept = max(len(answers[i]) * lengths[i] for i in batch) * len(batch)
            assert len(batch) == 1 or kept * cached <= ev._BATCH_CACHE
        assert vocabulary != 1 << 40 or len(batches) == 500
    short = Encoded(["0"] * 500, [0] * 500, [[1]] * 500, [], [], 0)  # an encoder's
    assert max(map(len, ev.length_batches(short, 50))) == ev._BATCH_ROWS
