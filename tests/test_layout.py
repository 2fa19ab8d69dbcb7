"""The house: tests mirror its folders, and what prints a table imports no torch."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIGHT = ("core", "rows", "cells", "planning", "board", "render")
HEAVY = ("torch", "transformers", "datasets", "pandas")

TESTED_IN = {
    "bench/board/test_comparison.py": "bench.render.comparison",
    "bench/board/test_verification.py": "bench.render.verification",
    "bench/board/test_leaderboard.py": "bench.render.markdown bench.render.tidy",
    "bench/cells/test_store.py": "bench.cells.reading bench.cells.result bench.core.shapes "
    "bench.core.text",
    "bench/cli/test_main.py": "bench.render.plan bench.render.status bench.running.job "
    "bench.running.progress",
    "bench/running/test_forecast.py": "bench.render.memory",
    "bench/cli/test_presets.py": "bench.cli.jobs bench.cli.reproducing bench.render.presets",
    "bench/gradients/test_collect.py": "bench.gradients.layers",
    "bench/network/test_likelihood.py": "bench.network.limits bench.network.probes",
    "bench/planning/test_compatibility.py": "bench.cells.grid bench.core.launcher "
    "bench.planning.plan",
    "bench/planning/test_tuning.py": "bench.cells.tuned bench.board.tuning_table",
    "bench/planning/test_plugins.py": "bench.training.method",
    "bench/render/page/test_page.py": "bench.render.page.background bench.render.page.curves "
    "bench.render.page.document bench.render.page.dots bench.render.page.figure "
    "bench.render.page.flips bench.render.page.recadam bench.render.page.selection "
    "bench.render.page.tables bench.render.page.tags bench.render.page.tradeoff "
    "bench.render.page.verdicts",
    "bench/render/test_cell.py": "bench.render.examples",
    "bench/render/test_render.py": "bench.render.details bench.render.section "
    "bench.render.terminal bench.render.wording",
    "bench/test_api.py": "bench.render.html",
    "bench/rows/test_bad_input.py": "bench.rows.files",
    "bench/board/test_part_figures.py": "bench.running.part_answers",
    "bench/running/test_executor.py": "bench.running.measuring",
    "bench/running/test_once.py": "bench.running.finishing "
    "bench.cells.weights bench.running.export bench.running.reasons",
    "bench/running/test_single.py": "bench.rows.material bench.running.blank "
    "bench.running.result_building bench.running.session bench.running.workspace",
    "bench/scoring/test_lm_eval.py": "bench.board.lm_eval_table",
    "bench/selfcheck/test_selfcheck.py": "bench.selfcheck.behaviour bench.selfcheck.checks "
    "bench.selfcheck.command bench.selfcheck.identity bench.selfcheck.processes "
    "bench.selfcheck.world",
    "bench/speed/test_kernels.py": "bench.speed.contests bench.speed.growth "
    "bench.speed.references bench.speed.workloads",
    "bench/running/test_pool.py": "bench.core.stops bench.running.order bench.running.server "
    "bench.running.worker bench.running.workers",
    "bench/running/test_on_slurm.py": "bench.running.clusters bench.running.remote",
    "bench/running/test_memory.py": "bench.core.memory",
    "bench/speed/test_scaling.py": "bench.speed.sizes",
    "bench/speed/test_speed.py": "bench.speed.__main__ bench.speed.boards bench.speed.cells "
    "bench.speed.grid bench.speed.jobs bench.speed.loop bench.speed.options bench.speed.scoring "
    "bench.speed.start "
    "bench.speed.timing",
    "test_papers.py": "bench.core.version",
    "bench/training/test_loop.py": "bench.training.checkpoint bench.training.context "
    "bench.training.schedule bench.training.signals methods.finetune",
    "bench/network/test_batches.py": "bench.cells.recipe",
    "bench/training/test_narrow_weights.py": "bench.training.adamw",
    "bench/training/test_sharding.py": "bench.training.shards bench.running.groups",
    "bench/training/test_precision.py": "bench.network.precision methods.shared.task_fisher",
    "methods/test_auxiliary_loss.py": "methods.ga methods.multitask methods.npo methods.replay "
    "methods.shared.auxiliary_rows",
    "methods/test_bss.py": "methods.shared.features",
    "methods/test_ewc.py": "methods.shared.text_fisher",
    "methods/test_llrd.py": "methods.shared.depth",
    "methods/test_lwf_unlearning.py": "methods.shared.answers",
    "methods/test_masks.py": "methods.shared.masks",
    "methods/test_meta_network.py": "bench.network.loading",
    "tasks/micro/test_micro_models.py": "tasks.micro.pretrain",
    "tasks/micro/test_micro_rows.py": "tasks.micro.acceptability tasks.micro.facts "
    "tasks.micro.inference tasks.micro.lexicon tasks.micro.paraphrase tasks.micro.prompts "
    "tasks.micro.quizzes tasks.micro.recall tasks.micro.sentiment tasks.micro.world",
    "tasks/micro/test_micro_text.py": "tasks.micro.sample tasks.micro.truth",
}
"""A test file -> the modules, without a test file of their own, that it is about: it imports each,
or names it."""


def modules(*folders: str) -> list[str]:
    """The dotted name of every module below these folders, packages left out."""
    paths = (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))
    return [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in paths
        if path.name != "__init__.py"
    ]


def own_tests(module: str) -> list[Path]:
    """The test files that lie where a module's tests belong."""
    *folder, last = module.split(".")
    if folder[0] != "methods":
        names = (f"test_{last}.py", f"test_{folder[-1]}_{last}.py")
        places = [ROOT / "tests" / Path(*folder) / name for name in names]
        return [place for place in places if place.is_file()]
    subject = last if len(folder) == 1 or folder[1] == "shared" else folder[1]
    return list((ROOT / "tests" / "methods").glob(f"test_{subject}*.py"))


def test_every_module_has_a_test_file_or_a_line_that_says_where_it_is_tested() -> None:
    told = {name for names in TESTED_IN.values() for name in names.split()}
    known = modules("bench", "methods", "tasks")
    assert [name for name in known if not own_tests(name) and name not in told] == []
    assert told <= set(known), told - set(known)


def test_what_is_said_of_a_test_file_is_true() -> None:
    for file, names in TESTED_IN.items():
        text = (ROOT / "tests" / file).read_text(encoding="utf-8")
        for name in names.split():
            package, _, last = name.rpartition(".")
            imported = rf"^ *from {re.escape(package)} import .*\b{last}\b"
            assert re.search(rf"\b{re.escape(name)}\b", text) or re.search(imported, text, re.M), (
                f"tests/{file} does not name {name}"
            )


def test_what_plans_and_prints_imports_nothing_heavy() -> None:
    names = modules(*(f"bench/{folder}" for folder in LIGHT))
    script = (
        "import importlib, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        f"print(*(name for name in {HEAVY!r} if name in sys.modules))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert ran.stdout.strip() == ""
    assert len(names) > 30
