"""Boards as text: the sections of bench.render.sections and bench.render.details, of the kind that
bench.render.section says, laid out in each of the forms."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest

from bench.board.leaderboard import Board, boards
from bench.board.statistics import Estimate
from bench.core.errors import BenchError
from bench.core.version import SUITE_VERSION
from bench.render import markdown, terminal, tidy, wording, write_all
from tests.helpers.made_up import result


def made() -> list[Board]:
    """finetune on three seeds; lwf on two, with a third that failed."""
    cells = [result(seed=seed, after=score) for seed, score in enumerate((0.1, 0.12, 0.14))]
    cells += [
        result("lwf", seed=seed, after=score, seconds=20.0, before=-0.25, label="lwf[interval=8]")
        for seed, score in enumerate((0.0, 0.112))
    ]
    reason = "loss is\n nan | at <step> 12"
    return boards([*cells, result("lwf", seed=2, error=reason, label="lwf[interval=8]")])


def wide() -> list[Board]:
    """Long labels, large numbers, two tasks."""
    label = "lwf[" + ",".join(f"some_setting_{i}=0.{i}" for i in range(5)) + "]"
    return boards(
        result(method, task, seed, score, seconds=98765.4, label=label if method == "lwf" else None)
        for method in ("finetune", "lwf")
        for task in ("cola", "rte")
        for seed, score in enumerate((-1.0, 1.0))
    )


TERMINAL = """\
CoLA: Matthews correlation ×100 (to be forgotten: rte)
method             n  before   after       ±   gain       ±   retain       ±  forget       ±  time
                                   ↑              ↑            +nats           +nats          ×ref
                                                                   ↓                             ↓
---------------  ---  ------  ------  ------  -----  ------  -------  ------  ------  ------  ----
finetune           3   25.00  *12.00   ±4.97    ref          *+0.125  ±0.000  -0.250  ±0.000  1.00
lwf[interval=8]  2/3  -25.00   *5.60  ±71.15  -5.40  ±58.45  *+0.125  ±0.000  -0.250  ±0.000  2.00
! lwf[interval=8] seed 2 failed: loss is nan | at <step> 12
"""


def test_terminal() -> None:
    text = terminal.render(made())
    assert text.split("\n\n")[1] + "\n" == TERMINAL


def test_what_an_encoder_forgets_is_not_scored_nor_named() -> None:
    text = terminal.render(boards([result(model={"kind": "encoder", "hash": "0123456789abcdef"})]))
    assert "CoLA: Matthews correlation ×100\n" in text


def test_terminal_says_what_the_board_holds() -> None:
    assert terminal.render(made()).startswith(
        "stories260K on data\n"
        "===================\n"
        "model: stories260K (causal, 01234567)\n"
        "data: data\n"
        "training: lr=0.0005, steps=100\n"
        "seeds: 0, 1, 2\n"
        "retention text: sampled\n"
        f"suite version: {SUITE_VERSION}\n"
    )


def test_a_board_of_an_older_suite_says_so_in_its_first_line() -> None:
    older = boards([result(suite_version="0.2.0")])
    first = f"stories260K on data (older suite version 0.2.0, this is {SUITE_VERSION})\n"
    assert terminal.render(older).startswith(first)
    assert f"\n## {first}" in markdown.render(older)
    newer = boards([result(suite_version="1000.0.0")])
    assert terminal.render(newer).startswith("stories260K on data\n")


def test_a_figure_in_words() -> None:
    found = Estimate(3, -0.000001, 0.0123, 0.005)
    assert wording.mean_text(found, "z.2f") == "0.00"
    assert wording.half_text(found) == "±1.23" and wording.half_text(Estimate(1, 0.5, None)) == ""
    assert wording.mean_text(None, "z.2f") == wording.MISSING


def test_numbers_line_up_at_the_point() -> None:
    lines = terminal.render(wide()).splitlines()
    rows = [line for line in lines if " ±" in line and "." in line and "%" not in line]
    assert len(rows) == 6
    for table in (rows[:2], rows[2:4], rows[4:]):
        points = [[i for i, c in enumerate(line) if c == "." and i > 24] for line in table]
        assert set(points[0]) <= set(points[1])  # the reference has no gain


def test_nothing_is_minus_zero() -> None:
    less = result("lwf", after=0.5 - 1e-9, before=-1e-9)
    assert less["retention"] is not None
    less["retention"]["after"] = less["retention"]["before"] - 1e-9
    text = terminal.render(boards([result(), less]))
    assert "-0.00" not in text
    assert "+0.00 " in text and "+0.000 " in text


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-8"])
def test_terminal_writes_only_what_the_output_can(encoding: str) -> None:
    board = boards([result(label="café→"), result(seed=1)])
    text = terminal.render(board, encoding)
    assert text.encode(encoding).decode(encoding) == text
    assert ("+-" in text, "x100" in text) == (encoding == "ascii",) * 2
    widths = {len(line) for line in text.splitlines() if line.startswith("---")}
    assert len(widths) == 1


MARKDOWN = """\
### CoLA: Matthews correlation ×100 (to be forgotten: rte)

| method | n | before | after ↑ | ± | gain ↑ | ± | retain +nats ↓ | ± | forget +nats | ± | lost % ↓ | ± | gained % ↑ | ± | drift | ± | time s ↓ | ± | time ×ref ↓ | ± | peak MiB ↓ |
| :--- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| finetune | 3 | 25.00 | *12.00 | ±4.97 | ref |  | *+0.125 | ±0.000 | -0.250 | ±0.000 | *10.0 | ±0.0 | *20.0 | ±0.0 | 3.12e-02 | ±0.00e+00 | *10.0 | ±0.0 | 1.00 |  | 514 |
| lwf[interval=8] | 2/3 | -25.00 | *5.60 | ±71.15 | -5.40 | ±58.45 | *+0.125 | ±0.000 | -0.250 | ±0.000 | *10.0 | ±0.0 | *20.0 | ±0.0 | 3.12e-02 | ±0.00e+00 | 20.0 | ±0.0 | 2.00 | ±0.00 | 513 |

- lwf[interval=8] seed 2 failed: loss is nan \\| at &lt;step> 12
"""  # noqa: E501


def test_markdown() -> None:
    text = markdown.render(made())
    assert text.startswith(
        "# Leaderboard\n\n## stories260K on data\n\n- model: stories260K (causal"
    )
    assert f"\n\n{MARKDOWN}\n" in text


def test_markdown_escapes_what_would_break_a_table() -> None:
    odd = boards([result(label="a|b\\\nc<d", model_name="x\ny")])
    text = markdown.render(odd)
    assert "| a\\|b\\\\ c&lt;d | 1 |" in text
    assert "## x y on data" in text


def test_csv_and_json_hold_the_same_tidy_rows_in_full_precision() -> None:
    board = boards([result(after=0.1), result("lwf", after=1 / 3), result("lwf", task="rte")])
    rows = json.loads(tidy.to_json(board))
    assert [(row["task"], row["method"]) for row in rows] == [
        ("cola", "finetune"), ("cola", "lwf"), ("rte", "finetune"), ("rte", "lwf"),
        ("average", "finetune"), ("average", "lwf"),
    ]  # fmt: skip
    lwf = rows[1]

    def spread(name: str) -> str:
        return f"{name} {name}_half_width {name}_sd"

    def tested(name: str) -> str:
        return (
            f"{name}_verdict {name}_p {name}_p_exact {name}_p_holm {name}_seen {name}_seeds_needed"
        )

    names = (
        "retention forgotten facts lost gained lost_adjusted gained_adjusted drift backward "
        "forward forgetting seconds"
    )
    plain = " ".join(
        f"{spread(name)} {name}_difference {name}_difference_half_width" for name in names.split()
    )
    assert " ".join(lwf) == (
        "board suite_version model model_hash data dev_rows data_hash task metric majority method "
        "reference seeds_done seeds_planned "
        f"{spread('before')} {spread('after')} {spread('validation')} "
        f"{spread('gain')} {plain} "
        f"{spread('time_ratio')} compile_seconds compile_seconds_half_width compile_seconds_sd "
        "compile_seconds_difference compile_seconds_difference_half_width above_model_mib "
        f"peak_mib {tested('after')} {tested('retention')} "
        "next next_difference next_difference_half_width next_p next_seeds_needed "
        "answers_verdict answers_only_right answers_only_reference_right answers_p answers_p_holm "
        "iqm iqm_low iqm_high rank borda improvement "
        "negative_transfer negative_transfer_half_width recovered recovered_half_width "
        "ceiling ceiling_half_width "
        "train.lr train.max_train train.steps"
    )
    assert (lwf["after"], lwf["gain"]) == (1 / 3, 1 / 3 - 0.1)
    assert lwf["after_half_width"] is None
    assert (lwf["metric"], lwf["before"], lwf["retention"]) == ("matthews_correlation", 0.25, 0.125)
    assert lwf["data_hash"] == "rows-cola" and rows[-1]["data_hash"] is None

    read = list(csv.DictReader(io.StringIO(tidy.to_csv(tidy.records(board)))))
    spelled = [
        {name: "" if value is None else str(value) for name, value in row.items()} for row in rows
    ]
    assert read == spelled


def test_no_boards_are_empty_files(tmp_path: Path) -> None:
    assert [path.read_text() for path in write_all([], [], tmp_path)] == [
        "# Leaderboard\n", "", "[]\n", "",
    ]  # fmt: skip


def test_write_all_replaces_whole_files(tmp_path: Path) -> None:
    (tmp_path / "leaderboard.md").write_text("old " * 10000)
    paths = write_all(made(), [result()], tmp_path / "new")
    assert write_all(made(), [result()], tmp_path) == [
        tmp_path / name
        for name in ("leaderboard.md", "leaderboard.csv", "leaderboard.json", "cells.csv")
    ]
    for path in paths:
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()
    assert "nan | at" not in paths[0].read_text()
    with pytest.raises(BenchError, match=r"cannot write .*leaderboard\.md"):
        write_all(made(), [result()], tmp_path / "leaderboard.md")


def test_a_sequence_names_the_definitions_that_it_shows() -> None:
    from tests.bench.board.test_leaderboard import sequence

    found = boards([sequence("finetune", 0, [[0.1, 0.5], [0.6, 0.5], [0.2, 0.7]]), result()])
    text = terminal.render(found)
    table = text[text.index("CoLA>RTE: mean over tasks ×100\n") :]
    assert table.splitlines()[1].split()[:8] == [
        "method", "n", "before", "after", "gain", "backward", "forward", "forgetting",
    ]  # fmt: skip
    for part in ("R[T][i]", "-R[i][i]", "R[i-1][i]", "-R[0][i]", "max R[k][i]", "-R[T][i]"):
        assert part in table
    assert "-40.00" in table and "+40.00" in table
    assert "Negative forgetting is improvement" in " ".join(text.split())
    assert "Negative forgetting" not in terminal.render(boards([result()]))
    assert "R[i-1][i] -R[0][i]" in markdown.render(found)
    told = [record["forgetting"] for record in tidy.records(found)]
    assert [value for value in told if value is not None] == [pytest.approx(0.4)]


def test_names_of_all_outputs_are_defined() -> None:
    """A name in docs/measures.md, as it is or by its ending or beginning."""
    page = (Path(__file__).parents[3] / "docs" / "measures.md").read_text("utf-8")
    told = set(re.findall(r"`([\w.]+)`", page))
    endings = {name.removeprefix("NAME") for name in told if name.startswith("NAME_")}
    endings |= {"_half_width", "_difference_half_width"}
    cell = result(settings={"k": 1})
    cell["provenance"] = {"commit": "abc", "gpus": ["a", "b"]}
    records = [*tidy.records(made()), *tidy.cell_records([cell])]
    for name in {name for record in records for name in record}:
        kind, dot, _ = name.partition(".")
        by_kind = {f"{kind}.NAME", f"{kind}.METRIC"} if dot else set()
        assert told & {name, *(name.removesuffix(end) for end in endings), *by_kind}, name


def test_a_line_per_cell_has_settings_recipe_and_provenance() -> None:
    cells = [result("ewc", settings={"k": 1}), result("lwf", "rte", settings={"n": 2})]
    cells[0]["provenance"] = {"commit": "abc", "packages": {"torch": "2"}, "gpus": ["a", "b"]}
    first, second = csv.DictReader(io.StringIO(tidy.to_csv(tidy.cell_records(cells))))
    assert (first["settings.k"], first["settings.n"], second["settings.n"]) == ("1", "", "2")
    assert (first["train.lr"], first["retention"], first["method"]) == ("0.0005", "0.125", "ewc")
    assert first["after.matthews_correlation"] == "0.5" and first["hash"] == cells[0]["hash"]
    assert (first["provenance.packages.torch"], first["provenance.gpus"]) == ("2", "a, b")
    assert json.loads(tidy.to_json(boards(cells)))[0]["train.steps"] == 100


def test_parquet_holds_what_the_csv_of_cells_holds_with_types(tmp_path: Path) -> None:
    import pandas as pd

    cells = [result("lwf", seed=s, after=0.1 + s / 7, settings={"keep": 3}) for s in (0, 1)]
    cells += [result("ewc", settings={"keep": "all", "lam": 1}), result("ewc", seed=1, error="no")]
    cells[3]["cell"]["settings"] = {"lam": 0.5, "off": True}
    found = tidy.cell_records(cells)
    tidy.write_parquet(found, tmp_path / "cells.parquet")
    frame = pd.read_parquet(tmp_path / "cells.parquet")
    assert list(frame.columns) == list(found[0])
    for name in frame.columns:
        for value, record in zip(frame[name], found, strict=True):
            wanted = str(record[name]) if name == "settings.keep" else record[name]
            assert value == wanted or (pd.isna(value) and record[name] is None), name
    kinds = {name: str(frame[name].dtype) for name in ("seed", "after", "settings.lam", "train.lr")}
    assert kinds == {
        "seed": "int64", "after": "float64", "settings.lam": "float64", "train.lr": "float64"
    }  # fmt: skip
    assert sorted(map(str, frame["settings.keep"].dropna())) == ["3", "3", "all"]
    tidy.write_parquet(found, tmp_path / "again.parquet")
    assert (tmp_path / "again.parquet").read_bytes() == (tmp_path / "cells.parquet").read_bytes()
