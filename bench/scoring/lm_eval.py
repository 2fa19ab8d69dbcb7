"""Any task of lm-evaluation-harness (Gao et al., https://github.com/EleutherAI/lm-evaluation-harness)
on the model at hand. It is an extra: `pip install '.[lm-eval]'`."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version
from typing import Any

from bench.core.errors import BenchError, unknown_name

Found = dict[str, dict[str, float]]
"""Its task, or a part of one -> "metric,filter" -> value, all as it names them."""

PACKAGE = "lm_eval"
_BATCH = 32


@lru_cache(maxsize=1)
def _manager() -> Any:
    """Its list of tasks, which takes seconds to read."""
    logging.getLogger(PACKAGE).setLevel(logging.ERROR)
    try:
        from lm_eval.tasks import TaskManager
    except ImportError as error:
        raise BenchError(
            f"--lm-eval needs lm-evaluation-harness: pip install '.[lm-eval]' ({error})."
        ) from None
    return TaskManager()


def check(names: Sequence[str]) -> None:
    """See that these tasks can be asked for.

    Raises:
        BenchError: the package is not installed, it has no such task, or there are several
            processes, of which it would use one.
    """
    if not names:
        return
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise BenchError("--lm-eval scores in one process: start run_bench.py without a launcher.")
    known = _manager().all_tasks
    for name in names:
        if name not in known:
            raise unknown_name("lm-eval task", name, known, "Known: see `lm-eval ls tasks`.")


def scores(net: Any, tokenizer: Any, names: Sequence[str], limit: int | None) -> Found:
    """Its scores of a causal LM on its tasks, each with the shots that it is defined with, on the
    first `limit` rows of each or on all. A value that is not a finite number is left out, as are
    standard errors: boards have intervals over seeds. The model and torch's random numbers are left
    as they were."""
    import torch
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM

    training = net.training
    with torch.random.fork_rng():  # it sets seeds of its own
        report = simple_evaluate(
            model=HFLM(pretrained=net, tokenizer=tokenizer, batch_size=_BATCH),
            tasks=list(names),
            limit=limit,
            bootstrap_iters=0,
            log_samples=False,
            task_manager=_manager(),
        )
    net.train(training)
    return {task: _values(values) for task, values in report["results"].items()}


def _values(values: dict[str, Any]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in values.items()
        if "," in name  # "acc,none"; what has none describes the task
        and "_stderr," not in name
        and isinstance(value, int | float)
        and math.isfinite(value)
    }


def installed() -> str:
    """The package's version."""
    return version(PACKAGE)
