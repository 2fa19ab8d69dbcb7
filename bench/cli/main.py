"""The command line: parses it, calls the rest, turns mistakes into one line and an exit code."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from bench.core.errors import BenchError, TerminatedError, unknown_name
from bench.core.settings import parse, setting
from bench.planning.plugins import load_builtin, load_plugin, load_task_file
from bench.rows.task import TASKS
from bench.training.method import METHODS

if TYPE_CHECKING:
    from bench.cells.cell import ModelKind

OK, FAILED_CELLS, USAGE = 0, 1, 2
INTERRUPTED = 130

_ABOUT = """\
Does forgetting help or hurt fine-tuning? Compare methods over tasks and seeds.

  run_bench.py --methods lwf,recadam --tasks cola,rte     run the grid and print the board
  run_bench.py list methods|tasks|models                  what there is, with settings
  run_bench.py show NAME                                  all there is to know of a method or task
  run_bench.py table DIR                                  print and write the boards of a folder
  run_bench.py submission DIR --method M --seed S         the zip file for GLUE's server
  run_bench.py status DIR                                 what is done, and why the rest is not
  run_bench.py selfcheck METHOD [--plugin FILE]           every check on a method, yours too
"""

_EXAMPLES = """\
examples:
  the embedded model and rows, no network needed:
    run_bench.py --methods lwf,recadam --tasks cola,rte
  your model and GLUE in its classic folders, five seeds:
    run_bench.py --methods ewc,lwf --tasks rte --model ./my-model --data ./glue --seeds 5
  a short try, to see that all works:
    run_bench.py --methods ewc --tasks cola --steps 20 --max-eval 200
  other settings, from the command line or a TOML file (keys as the options below; one table
  per method, and [train]):
    run_bench.py --methods lwf --tasks cola --set lwf.interval=4 train.warmup=0.1
    run_bench.py --config run.toml

A second call with the same words runs only what is not done yet; Ctrl-C stops safely.
exit codes: 0 all cells done, 1 some failed or were refused (what does not fit), 2 a
mistake in what was asked, or nothing fits, 130 stopped.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    commands = {
        "list": _list,
        "show": _card,
        "table": _table,
        "status": _status,
        "submission": _submission,
        "selfcheck": _selfcheck,
    }
    signal.signal(signal.SIGTERM, _terminate)
    for stream in (sys.stdout, sys.stderr):  # a terminal without Greek letters gets a ? for them
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        command = commands.get(words[0]) if words else None
        return command(words[1:]) if command else _run(words)
    except BenchError as error:
        print(f"run_bench.py: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print("stopped. The same command goes on from here.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader (`head`, say) has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


def _terminate(number: int, frame: Any) -> None:
    raise TerminatedError(128 + number)


def _run_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run_bench.py",
        description=_ABOUT,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    names = argparse.ArgumentParser.add_argument_group
    what = names(parser, "what to compare")
    what.add_argument("--methods", metavar="A,B", help="see: run_bench.py list methods")
    what.add_argument(
        "--tasks", metavar="A,B", help="see: run_bench.py list tasks; A>B: one after the other"
    )
    what.add_argument("--model", metavar="M", help="embedded name, folder or hub id (micro)")
    what.add_argument(
        "--as", dest="kind", choices=("causal", "encoder"), help="how to load it (its config says)"
    )
    what.add_argument("--data", metavar="D", help="micro, a folder, or hub (micro)")
    what.add_argument("--seeds", type=int, metavar="N", help="seeds per method and task (3)")
    what.add_argument("--first-seed", type=int, metavar="N", help="the first of them (0)")
    what.add_argument(
        "--forget", metavar="A,B", help="forgetting task(s); mixed: all other tasks (mixed)"
    )
    what.add_argument(
        "--retention", metavar="FILE", help="text that should be retained (sampled from the model)"
    )
    what.add_argument(
        "--lm-eval", metavar="A,B", help="tasks of lm-evaluation-harness to score before and after"
    )
    what.add_argument(
        "--no-reference", action="store_true", help="do not run finetune beside the methods"
    )
    how = names(parser, "how to train (train.* in --set reaches the rest of the recipe)")
    how.add_argument("--lr", metavar="X", help="peak learning rate (5e-4 small, 2e-5 other models)")
    how.add_argument("--epochs", metavar="X", help="passes over the training rows (1)")
    how.add_argument("--steps", metavar="N", help="optimizer steps instead of epochs")
    how.add_argument("--batch-size", metavar="N", help="examples per step (16)")
    how.add_argument("--max-length", metavar="N", help="tokens per example (512)")
    how.add_argument("--max-train", metavar="N", help="use only N training rows")
    how.add_argument("--max-eval", metavar="N", help="score only N dev rows")
    how.add_argument("--batching", metavar="HOW", help="bucketed by length, or random (bucketed)")
    how.add_argument("--shots", metavar="K", help="answered training rows before every prompt (0)")
    how.add_argument(
        "--set", nargs="+", action="extend", metavar="M.S=V", help="settings, e.g. lwf.interval=8"
    )
    how.add_argument("--config", metavar="FILE", help="a TOML file with the options above")
    where = names(parser, "the run")
    where.add_argument("--out", metavar="DIR", help="its folder (results/local/MODEL)")
    where.add_argument(
        "--plugin", nargs="+", action="extend", metavar="FILE", help="Python files to register from"
    )
    where.add_argument(
        "--task-file", nargs="+", action="extend", metavar="FILE", help="TOML files of own tasks"
    )
    where.add_argument(
        "--submission", action="store_true", help="answer GLUE's test rows too; see submission"
    )
    where.add_argument("--dry-run", action="store_true", help="print the plan and stop")
    return parser


_TRAIN = (
    "lr",
    "epochs",
    "steps",
    "batch_size",
    "max_length",
    "max_train",
    "max_eval",
    "batching",
    "shots",
)
_LISTS = ("methods", "tasks", "model", "forget", "lm_eval")


def _run(words: list[str]) -> int:
    parser = _run_parser()
    if not words:
        parser.print_help()
        return USAGE
    given = vars(parser.parse_args(words))
    load_builtin()
    for path in given.get("plugin", ()):
        load_plugin(Path(path))
    own = [load_task_file(Path(path)) for path in given.get("task_file", ())]
    from bench.cells.store import Store
    from bench.core.files import check_writable
    from bench.planning.plan import make_plan

    options, out = _options(given)
    options.tasks = options.tasks or own
    plan = make_plan(options)
    names = "-".join(model.name.replace("/", "--") for model in plan.spec.models)
    folder = Path(out or Path("results", "local", names))
    from bench.render.plan import plan_text
    from bench.running.executor import open_cells, rank

    cells = list(plan.spec.cells())
    store = Store(folder)
    todo, done = open_cells(cells, store, plan.submission)
    if not given.get("dry_run"):
        check_writable(folder)
    if rank() == 0:
        print(plan_text(plan, folder, len(done), len(todo)), flush=True)
    if given.get("dry_run"):
        return OK
    return _run_cells(plan, cells, todo, store, folder)


def _run_cells(plan: Any, cells: list[Any], todo: list[Any], store: Any, folder: Path) -> int:
    """Run the open cells, then print and write the board of all; the exit code."""
    from bench.running.executor import keep_refusals, rank, run_in_process

    if todo:
        run_in_process(plan, todo, store, folder)
    if rank():
        return OK
    if plan.spec.refused:
        keep_refusals(plan, store)
    wanted = {cell.hash for cell in (*cells, *(cell for cell, _ in plan.spec.refusals()))}
    results = [result for result in store.all() if result["hash"] in wanted]
    _show(results, folder)
    return FAILED_CELLS if any(r["status"] != "done" for r in results) else OK


@dataclass(frozen=True)
class _Plain:
    """The options of one value each, with their types, for the command line and TOML alike."""

    data: str = setting("micro", "where rows come from")
    seeds: int = setting(3, "seeds per method and task")
    first_seed: int = setting(0, "the first of them", low=0)
    retention: str | None = setting(None, "text that should be retained")
    kind: str | None = setting(None, "how to load it", choices=("causal", "encoder"))
    no_reference: bool = setting(False, "leave finetune out")
    submission: bool = setting(False, "answer GLUE's test rows too")
    out: str | None = setting(None, "the run's folder")


def _merged(given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Command line over configuration file: the options, and the settings by owner.

    Raises:
        BenchError: the file is unreadable or has an unknown key; a setting is given twice.
    """
    from bench.planning.plan import parse_assignments, read_config

    config = read_config(Path(given["config"])) if "config" in given else {}
    settings = {owner: dict(v) for owner, v in config.items() if isinstance(v, dict)}
    merged: dict[str, Any] = {}
    known = {*_TRAIN, *_LISTS, *(f.name for f in fields(_Plain)), "as"} - {"kind"}
    for key, value in config.items():
        name = key.replace("-", "_")
        if not isinstance(value, dict):
            if name not in known:
                raise unknown_name(f"key of {given['config']}", key, known)
            merged["kind" if name == "as" else name] = value
    merged |= given
    for name in _TRAIN:
        if name in merged:
            settings.setdefault("train", {})[name] = merged[name]
    for owner, values in parse_assignments(given.get("set", ())).items():
        for name in values:
            if owner == "train" and name in given:
                option = "--" + name.replace("_", "-")
                raise BenchError(f"{option} and --set train.{name} are the same: give one of them.")
        settings.setdefault(owner, {}).update(values)
    return merged, settings


def _options(given: dict[str, Any]) -> tuple[Any, str | None]:
    """What was asked for as `bench.planning.plan.Options`, and the folder, if one was named."""
    from bench.planning.plan import MIXED, Options

    merged, settings = _merged(given)
    plain = parse(
        _Plain, {f.name: merged[f.name] for f in fields(_Plain) if f.name in merged}, "run"
    )
    lists = {name: _names(merged[name], name) for name in _LISTS if name in merged}
    options = Options(
        methods=lists.get("methods", []),
        tasks=lists.get("tasks", []),
        models=lists.get("model", ["micro"]),
        data=plain.data,
        seeds=plain.seeds,
        first_seed=plain.first_seed,
        forget=lists.get("forget") or [MIXED],
        retention=plain.retention,
        kind=cast("ModelKind | None", plain.kind),
        reference=not plain.no_reference,
        submission=plain.submission,
        lm_eval=lists.get("lm_eval", []),
        settings=settings,
    )
    return options, plain.out


def _names(value: Any, option: str) -> list[str]:
    """`"a,b"` or `["a", "b"]` as a list."""
    words = value.split(",") if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise BenchError(f"{option} must be a list of names, not {value!r}.")
    return [word.strip() for word in words if word.strip()]


def _list(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="run_bench.py list", allow_abbrev=False)
    parser.add_argument("what", choices=("methods", "tasks", "models"))
    parser.add_argument("--plugin", nargs="+", metavar="FILE", default=[])
    given = parser.parse_args(words)
    load_builtin()
    for path in given.plugin:
        load_plugin(Path(path))
    from bench.render import cards

    text = {"methods": cards.methods, "tasks": cards.tasks, "models": cards.models}[given.what]
    print(text(METHODS, TASKS))
    return OK


def _card(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="run_bench.py show", allow_abbrev=False)
    parser.add_argument("name", metavar="NAME", help="a method (also METHOD:VARIANT) or a task")
    parser.add_argument("--plugin", nargs="+", metavar="FILE", default=[])
    given = parser.parse_args(words)
    load_builtin()
    for path in given.plugin:
        load_plugin(Path(path))
    from bench.planning.method_names import find
    from bench.render import cards

    names = [*METHODS.names(), *TASKS.names()]
    name = given.name.partition(":")[0]
    if name not in names:
        raise unknown_name("method or task", given.name, names)
    if name in METHODS.names():
        print(cards.method(find(given.name)[0]))
    else:
        print(cards.task(TASKS.get(given.name)))
    return OK


def _selfcheck(words: list[str]) -> int:
    from bench.selfcheck.command import main as check

    return check(words)


def _folder_argument(command: str, words: list[str]) -> Path:
    parser = argparse.ArgumentParser(prog=f"run_bench.py {command}", allow_abbrev=False)
    parser.add_argument("folder", metavar="DIR", help="the folder of a run")
    folder = Path(parser.parse_args(words).folder)
    if not folder.is_dir():
        raise BenchError(f"{folder} is not a folder.")
    return folder


def _table(words: list[str]) -> int:
    from bench.cells.store import Store

    folder = _folder_argument("table", words)
    results = Store(folder).all()
    if not results:
        raise BenchError(f"{folder} holds no results.")
    _show(results, folder)
    return OK


def _show(results: Any, folder: Path) -> None:
    """Print the boards of `results` and write them into `folder`."""
    from bench.board.leaderboard import boards
    from bench.render import terminal, write_all

    found = boards(results)
    print(terminal.render(found, sys.stdout.encoding or "ascii"))
    print("written: " + ", ".join(str(path) for path in write_all(found, folder)))


def _status(words: list[str]) -> int:
    from bench.cells.store import Store
    from bench.render.status import status

    folder = _folder_argument("status", words)
    print(status(Store(folder).all(), folder))
    return OK


def _submission(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="run_bench.py submission", allow_abbrev=False)
    parser.add_argument("folder", metavar="DIR", help="of a run with --submission")
    parser.add_argument("--method", required=True, metavar="M", help="as the boards name it")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="(0)")
    parser.add_argument("--out", metavar="FILE", help="(submission.zip in DIR)")
    given = parser.parse_args(words)
    from bench.scoring.glue_server import write_zip

    folder = Path(given.folder)
    out = Path(given.out) if given.out else folder / "submission.zip"
    there, missing = write_zip(folder, given.method, given.seed, out)
    print(f"written: {out} with {', '.join(there)}")
    if missing:
        print(f"the server wants these too: {', '.join(missing)}")
    return OK
