"""The published runs: complete, what their pages say, and small enough to be in a repository."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from benchmarks.convergence.run_folder import UNTRAINED, RunFolder
from benchmarks.convergence.summary import summarise
from benchmarks.faces.comparison import report
from benchmarks.report.answer import against_peers, answer, first_to_target
from benchmarks.report.claims import table
from benchmarks.report.page import markdown_prose
from benchmarks.report.run import Run
from benchmarks.sweep import ends, markdown
from metricface.data.sets.han import INSTALL

RESULTS = Path(__file__).parents[2] / "docs" / "results"
MOST_BYTES, MOST_FILES = 7_000_000, 70
"""docs/results.md states these."""
LARGEST = 1_000_000
"""Bytes of one file; a page holds its drawings, so that it opens anywhere."""
RUNS = ("glyphs", "glyphs-1024", "han", "orl")
SWEEPS = {"sweeps": "recall_at_1", "sweeps-han": "map_at_r_unseen_typefaces"}
"""What their ends are compared by."""


def test_the_results_stay_small() -> None:
    sizes = {file: file.stat().st_size for file in RESULTS.rglob("*") if file.is_file()}
    largest = sorted(sizes, key=lambda file: -sizes[file])[:5]
    named = ", ".join(f"{file.relative_to(RESULTS)} {sizes[file]:,}" for file in largest)
    said = "pack the run as docs/results.md says; the largest files are"
    assert sum(sizes.values()) <= MOST_BYTES, f"{sum(sizes.values()):,} bytes: {said} {named}"
    assert len(sizes) <= MOST_FILES, f"{len(sizes)} files: {said} {named}"
    assert max(sizes.values()) <= LARGEST, named
    assert {file.relative_to(RESULTS).parts[0] for file in sizes} == {*RUNS, *SWEEPS, "faces"}


def test_what_is_said_of_alignment_is_what_its_cells_say() -> None:
    folder = RESULTS / "faces"
    cells = pd.read_csv(folder / "cells.csv")
    text = report(cells, degrees=15, steps=100, missed=0, side=56)
    assert (folder / "report.md").read_text(encoding="utf-8") == text
    assert (cells.groupby(["form", "method", "seed"])["fold"].nunique() == 5).all()


@pytest.mark.parametrize("setting", ["batch", "dim", "identities"])
@pytest.mark.parametrize("folder", SWEEPS)
def test_the_table_of_a_sweep_is_that_of_its_evaluations(folder: str, setting: str) -> None:
    rows = pd.read_csv(RESULTS / folder / f"{setting}.csv", dtype={setting: str})
    text = (RESULTS / folder / f"{setting}.md").read_text(encoding="utf-8")
    command, by = text.split("`")[1], SWEEPS[folder]
    assert markdown(ends(rows, setting, by), setting, by, command) == text
    tables = text.split("`")[2].strip()
    assert tables in (RESULTS.parent / "results.md").read_text(encoding="utf-8")


def test_the_verdicts_on_the_papers_claims_are_those_of_the_runs() -> None:
    text = (RESULTS.parent / "results.md").read_text(encoding="utf-8")
    assert table([Run(RESULTS / name) for name in RUNS]) in text


def test_the_typefaces_of_han_are_listed() -> None:
    typefaces = pd.read_csv(RESULTS / "han" / "typefaces.csv")
    assert set(typefaces["package"]) == set(INSTALL.split()[2:])
    text = (RESULTS.parent / "data.md").read_text(encoding="utf-8")
    taken = (typefaces["what"] == "taken").sum()
    assert f"{taken} typefaces" in text


def test_the_stated_size_is_the_tested_one() -> None:
    text = (RESULTS.parent / "results.md").read_text(encoding="utf-8")
    assert f"{MOST_BYTES / 1e6:g} MB in {MOST_FILES} files" in text


@pytest.mark.parametrize("name", RUNS)
def test_a_published_run_is_complete_and_its_summary_that_of_its_cells(name: str) -> None:
    run = Run(RESULTS / name)
    assert not run.missing
    assert set(run.complete) == set(run.methods)
    for kind in ("histograms", "hardest"):
        described = {cell.method for cell in run.folder.files(kind)}
        assert described >= {*run.methods, UNTRAINED}
    found = summarise(RunFolder(run.path).results(), headline=run.headline, target=run.target)
    published = pd.read_csv(run.path / "summary.csv")
    pd.testing.assert_frame_equal(found, published, check_dtype=False, rtol=1e-9)


@pytest.mark.parametrize("name", RUNS)
def test_the_published_page_says_what_its_cells_say(name: str) -> None:
    run = Run(RESULTS / name)
    summary = summarise(run.results, headline=run.headline, target=run.target)
    text = (run.path / "report.md").read_text(encoding="utf-8")
    for said in (
        " ".join(answer(run, summary)),
        first_to_target(run, summary),
        against_peers(run, summary),
    ):
        assert said is not None
        assert markdown_prose(said) in text
