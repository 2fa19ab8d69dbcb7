"""The parser of a run: an option for every field, and mistakes that say what was meant."""

from __future__ import annotations

import dataclasses

import pytest

from bench.cli.main import main
from bench.cli.parser import run_parser
from bench.planning.options import Options, flag, shortcuts


def test_every_field_is_an_option_with_its_help_and_default() -> None:
    text = " ".join(run_parser().format_help().split())
    for field in (*dataclasses.fields(Options), *shortcuts()):
        assert f"{flag(field)} " in text
        assert " ".join(field.metadata["help"].split()) in text
    assert "--seeds N seeds per method and task (3)" in text
    assert "--as causal|encoder" in text
    assert "--plugin FILE [FILE ...]" in text
    assert "--batch-size N examples per optimizer step (16)" in text
    assert "--no-reference do not run finetune beside the methods" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--task cola", "unknown option '--task'. Did you mean '--tasks'?"),
        ("--seed=3", "unknown option '--seed'. Did you mean '--seeds'?"),
        ("--gpu 0", "unknown option '--gpu'. A GPU is used where there is one; did you mean --dev"),
        ("--xyz", "unknown option '--xyz'. See run_bench.py --help."),
        ("lst methods", "unknown command 'lst'. Did you mean 'list'? Known: "),
        ("list method", "argument methods|tasks|models|presets: invalid choice: 'method'"),
        ("list tasks --task-fil x", "unknown option '--task-fil'. Did you mean '--task-file'?"),
        ("--seeds", "argument --seeds: expected one argument. See run_bench.py --help."),
        ("--tasks cola rte", "'rte' belongs to no option. See run_bench.py --help."),
        ("submission x", "the following arguments are required: --method. See run_bench.py subm"),
        ("table", "the following arguments are required: DIR. See run_bench.py table --help."),
    ],
)
def test_a_mistake_says_what_was_meant(
    words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words.split()) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"run_bench.py: {message}")
