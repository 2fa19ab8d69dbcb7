"""What tests ask of the tiny world of `run_bench.py selfcheck` besides."""

from __future__ import annotations

from pathlib import Path

import transformers as hf

from bench.cells.result import CellResult
from bench.planning.plan import Plan
from bench.running.single import run_cell
from bench.selfcheck.world import cells_of, workspace_for
from bench.training.stack import build


def results(plan: Plan, folder: Path) -> list[CellResult]:
    """The results of all cells, run one after the other."""
    workspace = workspace_for(plan, folder)
    share = any("finetuned" in build(method).needs for method in plan.spec.methods)
    return [run_cell(cell, workspace, share)[0] for cell in cells_of(plan)]


def widened(tiny: Path, folder: Path, hidden: int, layers: int) -> Path:
    """A model whose weights outweigh what a short batch keeps."""
    config = hf.AutoConfig.from_pretrained(tiny)
    config.hidden_size, config.intermediate_size = hidden, 3 * hidden
    config.num_hidden_layers, config.head_dim = layers, 64
    config.num_attention_heads = config.num_key_value_heads = hidden // 64
    hf.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    hf.AutoTokenizer.from_pretrained(tiny).save_pretrained(folder)
    return folder
