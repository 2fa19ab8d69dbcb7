"""The numerical kernels beside the ordinary work that they add to or replace."""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from bench.speed.options import add_clock_option, positive
from bench.speed.timing import alternate, compared, growth_mib, timed

if TYPE_CHECKING:
    from bench.speed.contests import Contest

_NOTE = """
{device}, {threads} thread(s), {rounds} rounds, {clock} time. Networks of random weights,
hidden size {hidden} x {blocks} blocks, vocabulary 4,096 (the Llama has {parameters:,} parameters);
64 sequences (confidence and elicitation: 32) of 32 to 64 tokens, padded to 64, in batches of 16,
elicitation in one of 32.
  ratio         time of the first / time of the second (elicitation: tokens per second), median
                and extremes of the rounds
  MiB, its MiB  how far memory rises during a call of the first, and of the second
  max error     of 4 examples against a loop of single ones in float64 (RecAdam: against its
                published rule, EWC: against autograd of the penalty), over the largest entry
  compile s     what torch.compile took in the round that does not count
Goals: 1.35, 0.03, 1.20 (Fisher), 1.35 (confidence), and elicitation 3 or more."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The arguments of `measure`."""
    add_clock_option(parser)
    for name, default in (("hidden", 256), ("blocks", 4)):
        about = f"{name} of the networks (%(default)s)"
        parser.add_argument(f"--{name}", type=positive, default=default, metavar="N", help=about)
    about = "also the time against samples, hidden size and sequence length"
    parser.add_argument("--growth", action="store_true", help=about)


def measure(given: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Measure every kernel and print the table; returns its values by kernel, with those of
    `--growth` under "growth"."""
    import torch
    from tabulate import tabulate

    from bench.core.provenance import provenance
    from bench.speed.contests import KERNELS
    from bench.speed.growth import measure_growth
    from bench.speed.workloads import Size, llama

    torch.set_num_threads(given.threads)
    size = Size(hidden=given.hidden, blocks=given.blocks)
    found: dict[str, dict[str, Any]] = {}
    for name, kernel in KERNELS.items():
        found[name] = _contest(kernel.build(replace(size, samples=kernel.samples)), given)
    heads = ["kernel", "ratio", "low", "high", "MiB", "its MiB", "max error", "compile s"]
    formats = ("", ".2f", ".2f", ".2f", ".0f", ".0f", ".0e", ".0f")
    rows = [[name, *one.values()] for name, one in found.items()]
    print(tabulate(rows, heads, floatfmt=formats, missingval="–"))
    parameters = sum(p.numel() for p in llama(size).net.parameters())
    machine = provenance()
    device = (machine["gpus"] or [machine["processor"]])[0]
    print(_NOTE.format(**vars(given), device=device, parameters=parameters))
    if given.growth:
        found["growth"] = measure_growth(given)
    return found


def _contest(contest: Contest, given: argparse.Namespace) -> dict[str, float | None]:
    """One row of the table."""
    from bench.network.compilation import compile_clock

    works = {"ours": contest.ours, "theirs": contest.theirs}
    contenders = {name: partial(timed, work, given.clock) for name, work in works.items()}
    with compile_clock(lambda: None) as clock:
        times = alternate(contenders, given.rounds)
    ours, theirs = times["ours"], times["theirs"]
    return {
        **(compared(ours, theirs) if contest.of_speeds else compared(theirs, ours)),
        "peak_mib": growth_mib(contest.ours),
        "other_peak_mib": growth_mib(contest.theirs),
        "max_rel_error": contest.error() if contest.error else None,
        "compile_seconds": clock.seconds or None,
    }
