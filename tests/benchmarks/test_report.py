"""The report of small made-up runs: its numbers, its words, its files."""

from __future__ import annotations

import json
import math
import re
import shutil
import signal
import statistics
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.convergence.run_folder import Cell
from benchmarks.convergence.summary import summarise
from benchmarks.report import claims, distances, ratio
from benchmarks.report.__main__ import main, parser, report
from benchmarks.report.answer import against_peers, answer, first_to_target, paired_gap
from benchmarks.report.curves import story_panels
from benchmarks.report.distances import pooled, read_histogram
from benchmarks.report.page import contents, render
from benchmarks.report.run import Run
from benchmarks.report.tables import summary_table, tried_settings
from metricface.data import ImageSet
from metricface.evaluation import class_distances

ROOT = Path(__file__).parents[2]
STEPS = (0, 10, 20)
HOSTILE = "soft<i>&|`max$"
ENDS = {
    "semi-hard": (0.80, 0.84, 0.82),
    "random": (0.60, 0.66, 0.63),
    HOSTILE: (0.79, 0.80, 0.81),
    "pml-semi-hard": (0.78, 0.83, 0.80),
}
FAMILIES = {"semi-hard": "triplet", "random": "triplet", HOSTILE: "classifier"}
METRICS = ("recall_at_1", "map_at_r", "tar_at_0.01", "eer")
SECTIONS = (
    "answer",
    "summary",
    "convergence",
    "comparisons",
    "distances",
    "pairs",
    "tuning",
    "settings",
    "machines",
    "reproduce",
    "notes",
)
T_TWO = 4.302652729911275  # Student's 97.5 % quantile at two degrees of freedom


def write_run(
    path: Path,
    ends: Mapping[str, Sequence[float]] = ENDS,
    *,
    seconds: Mapping[str, float] | None = None,
    middles: Mapping[str, Sequence[float]] | None = None,
    target: float = 0.7,
) -> Path:
    """A run of one fold: each method's headline at the last step, seed by seed; 0.5 at first."""
    (path / "cells").mkdir(parents=True)
    settings = {"data": "glyphs", "folds": 1, "steps": 20, "p": 4, "k": 2, "dim": 8}
    methods = {
        name: {"rule": f"rule of {name}", "family": FAMILIES.get(name, "peer"), "chosen": [{}]}
        for name in ends
    }
    written = {"settings": settings, "headline": "recall_at_1", "target": target}
    machines = [{"python": "3.11"}, {"python": "3.12"}]
    about = {"methods": methods, "machines": machines, "commands": ["python -m made <up>"]}
    (path / "settings.json").write_text(json.dumps(written | about), encoding="utf-8")
    for place, (name, finals) in enumerate(ends.items()):
        cost = (seconds or {}).get(name, 10.0 + place)
        for seed, final in enumerate(finals):
            middle = middles[name][seed] if middles else (0.5 + final) / 2
            rows = [
                {
                    "step": step,
                    "seconds": cost * step / 20,
                    "mining_seconds": 0.01 * step,
                    "loss": 1.0,
                    **dict.fromkeys(METRICS, value),
                    "eer": 1 - value,
                }
                for step, value in zip(STEPS, (0.5, middle, final), strict=True)
            ]
            write_cell(path / "cells", Cell(name, seed, 0), rows)
    write_cell(
        path / "cells", Cell("raw-pixels", 0, 0), [{"step": 0, **dict.fromkeys(METRICS, 0.4)}]
    )
    return path


ROW = {"seconds": 9.0, "mining_seconds": 0.1, "loss": 1.0, **dict.fromkeys(METRICS, 0.7)}


def write_cell(folder: Path, cell: Cell, rows: Sequence[Mapping[str, object]]) -> None:
    folder.mkdir(exist_ok=True)
    table = pd.DataFrame([{**cell._asdict(), **row} for row in rows])
    table.to_csv(folder / f"{cell.name}.csv", index=False)


def write_optional(path: Path) -> None:
    """Histograms, hardest pairs and tuning of the run."""
    for place, name in enumerate((*ENDS, "raw-pixels", "untrained")):
        edges = np.linspace(0, 4 if place < 4 else 0.5, 9)
        bins = {"lower": edges[:-1], "upper": edges[1:]}
        counts = {"intra": [9, 5, 1, 0, 0, 0, 0, 0], "inter": [0, 0, 4, 20, 30, 9, 1, 0]}
        (path / "histograms").mkdir(exist_ok=True)
        pd.DataFrame({**bins, **counts}).to_csv(
            path / "histograms" / f"{name}.seed0.fold0.csv", index=False
        )
    (path / "hardest").mkdir()
    for name in ("semi-hard", HOSTILE):
        listed = [("impostor", 0, 7, 0.125), ("impostor", 1, 9, 0.25), ("genuine", 3, 4, 1.75)]
        columns = ["kind", "first", "second", "distance"]
        pd.DataFrame(listed, columns=columns).to_csv(
            path / "hardest" / f"{name}.seed1.fold0.csv", index=False
        )
    tuned = [
        (
            name,
            json.dumps({"margin": margin}),
            seed,
            0,
            step,
            0.5 + margin * seed * step / 200,
            margin == 0.3,
        )
        for name in ENDS
        for margin in (0.1, 0.2, 0.3)
        for seed in (0, 1)
        for step in (10, 20)
    ]
    columns = ["method", "setting", "seed", "fold", "step", "recall_at_1", "chosen"]
    pd.DataFrame(tuned, columns=columns).to_csv(path / "tuning.csv", index=False)


def small_images(data: str, broken: str | None = None) -> ImageSet:
    """Sixty identities of three pictures in place of the real data, which take a while."""
    assert data == "glyphs"
    pixels = np.random.default_rng(0).integers(0, 255, (180, 8, 8)).astype(np.uint8)
    return ImageSet(pixels, np.repeat(np.arange(60), 3), tuple(f"<b>{i}" for i in range(60)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run with its report in it."""
    path = write_run(tmp_path_factory.mktemp("reported") / "run & co")
    write_optional(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distances, "load", small_images)
        report(path, path)
    return path


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


class Page(HTMLParser):
    """What the tests ask of a page; refuses tags that do not nest."""

    VOID = frozenset({"meta", "img"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[list[list[tuple[str, float | None]]]] = []  # table, row, cell
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"{tag} says something twice: {names}"
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "table":
            self.cells.append([])
        elif tag == "tr":
            self.cells[-1].append([])
        elif tag in ("td", "th"):
            number = dict(attrs).get("data-value")
            self.cells[-1][-1].append(("", None if number is None else float(number)))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.words.append(data)
        if {"td", "th"} & set(self.open):
            text, number = self.cells[-1][-1][-1]
            self.cells[-1][-1][-1] = (text + data, number)

    def values(self, attribute: str) -> list[str]:
        return [value for _, attrs in self.tags if (value := attrs.get(attribute)) is not None]


def texts(path: Path, anchor: str) -> list[str]:
    """The blocks of a section of the Markdown, its title left out."""
    text = render(contents(Run(path)), "markdown")
    return text.split("\n## ")[1 + SECTIONS.index(anchor)].strip().split("\n\n")[1:]


def summary_of(run: Run) -> pd.DataFrame:
    return summarise(run.results, headline=run.headline, target=run.target)


def plain(text: str) -> str:
    """With ordinary spaces, and without marks."""
    return text.replace("\u00a0", " ").replace("**", "")


def half(values: Sequence[float]) -> float:
    """Half of Student's 95 % interval of three values."""
    assert len(values) == 3
    return T_TWO * statistics.stdev(values) / math.sqrt(3)


# The page


def test_the_page_nests_and_has_every_section_once(page: str) -> None:
    parsed = Page(page)
    assert [attrs["id"] for tag, attrs in parsed.tags if tag == "section"] == list(SECTIONS)
    assert [tag for tag, _ in parsed.tags].count("h1") == 1
    ids = parsed.values("id")
    assert len(ids) == len(set(ids))
    targets = {link[1:] for link in parsed.values("href") if link.startswith("#")}
    assert targets <= set(ids)
    assert set(SECTIONS) <= targets


def test_every_machine_of_a_run_is_named(tmp_path: Path) -> None:
    (table,) = texts(write_run(tmp_path / "run"), "machines")
    assert [line.strip("| ") for line in table.splitlines()][0::2] == ["Python", "3.11"]
    assert table.splitlines()[-1].strip("| ") == "3.12"


def test_the_page_needs_nothing_from_anywhere(page: str) -> None:
    parsed = Page(page)
    assert not re.search(r"https?:|//cdn|@import", page)
    assert "link" not in {tag for tag, _ in parsed.tags}
    for place in parsed.values("src") + parsed.values("href"):
        assert place.startswith(("#", "data:image/png;base64,")), place
    inside = set(re.findall(r"url\(#([^)]+)\)", page))
    assert inside
    assert inside <= set(parsed.values("id"))
    assert len(re.findall(r"url\(", page)) == len(re.findall(r"url\(#", page))


def test_the_drawings_of_the_page_hold_nothing_idle(page: str) -> None:
    assert "<svg" in page
    assert "<g>" not in page
    assert "rotate(-0" not in page


def test_every_number_of_the_summary_table_is_that_of_the_summary(folder: Path, page: str) -> None:
    head, *rows = Page(page).cells[0]
    summary = summary_of(Run(folder)).set_index("method")
    assert [text for text, _ in head[2:5]] == ["Recall@1", "Against the best", "MAP@R"]
    assert [row[0][0] for row in rows] == [
        "semi-hard",
        "pml-semi-hard",
        HOSTILE,
        "random",
        "raw pixels",
    ]
    columns = ["recall_at_1", None, "map_at_r", "tar_at_0.01", "eer"]
    columns += ["steps_to", "seconds_to", "mining_seconds", "seconds"]
    for row in rows:
        line = summary.loc["raw-pixels" if row[0][0] == "raw pixels" else row[0][0]]
        for (text, value), column in zip(row[2:], columns, strict=True):
            if column is None:
                continue
            if line.name == "raw-pixels" and column.endswith(("seconds", "_to")):
                assert text == "–"
                continue
            assert value is not None
            np.testing.assert_equal(value, float(line[column]))
            if math.isfinite(value):
                shown = text.split("\u00a0")[0]
                decimals = len(shown.partition(".")[2])
                assert float(shown) == pytest.approx(value, abs=0.51 * 10**-decimals)


def test_the_summary_table_agrees_with_a_plain_calculation(folder: Path) -> None:
    rows = {row[0].text: row for row in summary_table(*with_summary(folder)).rows}
    for name, ends in ENDS.items():
        mean = statistics.fmean(ends)
        assert rows[name][2].text.split("\u00a0") == [f"{mean:.3f}", "±", f"{half(ends):.3f}"]
        if name != "semi-hard":
            gaps = [mine - best for mine, best in zip(ends, ENDS["semi-hard"], strict=True)]
            expected = f"−{-statistics.fmean(gaps):.3f} ± {half(gaps):.3f}"
            assert rows[name][3].text.replace("\u00a0", " ") == expected
    assert [name for name, row in rows.items() if row[0].best] == ["semi-hard"]
    # Steps are 10 for a seed whose middle is at least 0.7 already, else 20; random never ends so.
    assert rows["random"][7].text == "never"
    assert rows["semi-hard"][7].text == "20"


def with_summary(path: Path) -> tuple[Run, pd.DataFrame]:
    run = Run(path)
    return run, summary_of(run)


def test_what_the_run_says_is_escaped(page: str) -> None:
    for raw in ("<i>", "<up>", "<b>"):
        assert raw not in page
    words = "".join(Page(page).words)
    for said in (HOSTILE, f"rule of {HOSTILE}", "python -m made <up>", "<b>"):
        assert said in words


def test_pictures_are_described_and_take_the_colours_of_the_page(page: str) -> None:
    drawn = [attrs for tag, attrs in Page(page).tags if tag == "svg"]
    assert len(drawn) == 2 * 3 + 2 * 2 + 2 * 1 + 6  # families, two stories, twins; histograms
    assert all(attrs["role"] == "img" and attrs["viewbox"] for attrs in drawn)
    described = [str(attrs["aria-label"]) for attrs in drawn]
    assert described[0].endswith("At the end: semi-hard 0.820, random 0.630.")
    assert len(set(described)) > len(drawn) / 2
    assert "var(--ink)" in page
    inside = page[page.index("<main>") :]
    assert "#222222" not in inside
    images = [attrs for tag, attrs in Page(page).tags if tag == "img"]
    assert len(images) == 2 * 3
    assert all(attrs["alt"] for attrs in images)


def test_a_packed_run_has_the_same_report(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distances, "load", small_images)
    packed = tmp_path / folder.name
    kinds = ("cells", "histograms", "hardest")
    shutil.copytree(folder, packed, ignore=lambda *_: kinds)
    with zipfile.ZipFile(packed / "cells.zip", "w") as archive:
        for file in (file for kind in kinds for file in (folder / kind).iterdir()):
            archive.write(file, file.relative_to(folder))
    of_files, of_zip = (contents(Run(path)) for path in (folder, packed))
    assert [panel.alt for panel in of_zip["distances"].panels] == [
        panel.alt for panel in of_files["distances"].panels
    ]
    found = render(of_zip, "markdown").replace(str(packed), str(folder))
    assert found == render(of_files, "markdown")


def test_the_command_that_repeats_a_cell_names_one(folder: Path, page: str) -> None:
    words = "".join(Page(page).words)
    named = re.search(r"--reproduce '(.+\.csv)'", words)
    assert named is not None
    assert Path(named[1]).is_file()
    assert Path(named[1]) == folder / "cells" / "semi-hard.seed0.fold0.csv"


# Markdown and files


def test_markdown_links_pictures_that_exist(folder: Path) -> None:
    text = (folder / "report.md").read_text(encoding="utf-8")
    links = re.findall(r"^!\[.+\]\((\S+)\)$", text, re.MULTILINE)
    assert len(links) == 3 + 2
    assert {(folder / link).read_bytes()[:4] for link in links} == {b"\x89PNG"}
    assert {path.name for path in folder.glob("*.png")} == set(links)
    assert text.count("\n## ") == len(SECTIONS)
    assert "<i>" not in text


def test_markdown_tables_have_as_many_cells_as_columns(folder: Path) -> None:
    text = (folder / "report.md").read_text(encoding="utf-8")
    tables = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    assert len(tables) == 6
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1
    rows = [line for line in tables[0].splitlines() if "semi-hard" in line]
    assert rows[0].startswith("| **semi-hard** | triplet | **0.820\u00a0±\u00a0")


def test_the_same_run_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distances, "load", small_images)
        files = report(folder, tmp_path / "again")
    assert {file.name for file in files} == {file.name for file in folder.glob("report*")}
    for file in files:
        assert file.read_bytes() == (folder / file.name).read_bytes(), file.name


def test_no_memory_is_spoken_of_where_none_has_run(tmp_path: Path) -> None:
    names = ("semi-hard", "contrastive", "contrastive-memory")
    run = Run(write_run(tmp_path / "run", dict.fromkeys(names, (0.6, 0.7, 0.8))))
    told = [panel.title for panel in story_panels(run)]
    assert told == [f"Contrastive with and without a memory, by {by}" for by in ("step", "second")]


def test_twins_are_the_same_rule_whatever_their_names(tmp_path: Path) -> None:
    both = ("contrastive", "contrastive-linear", "pml-contrastive", "pml-cosface")
    run = Run(write_run(tmp_path / "run", dict.fromkeys(both, (0.6, 0.7, 0.8))))
    told = [panel.title for panel in story_panels(run)]
    assert told == [f"contrastive-linear in both libraries, by {by}" for by in ("step", "second")]


HALF_OF_THE_PAGE_THEN_KILLED = """
import os, signal, sys
from pathlib import Path
from benchmarks.report.__main__ import main

def half(path, data):
    with open(path, "wb") as file:
        file.write(data[: len(data) // 2])
        file.flush()
        if "html" in path.name:
            os.kill(os.getpid(), signal.SIGKILL)
        file.write(data[len(data) // 2 :])

Path.write_bytes = half
main([sys.argv[1]])
"""


def test_killed_by_the_system_while_writing_leaves_the_old_page(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", {"random": (0.6,)})
    report(run, run)
    whole = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    write_cell(run / "cells", Cell("random", 1, 0), [{**ROW, "step": 20}])
    command = [sys.executable, "-c", HALF_OF_THE_PAGE_THEN_KILLED, str(run)]
    killed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    left = list(run.glob(".report.html.*.partial"))
    assert len(left) == 1
    assert (run / "report.html").read_bytes() == whole[run / "report.html"]
    for file in (file for file in whole if file.parent.name == "cells"):
        assert file.read_bytes() == whole[file]
    report(run, run)
    assert (run / "report.html").read_bytes() != whole[run / "report.html"]
    assert list(run.rglob("*.partial")) == left  # another report may be writing that one


# What is missing


def test_what_was_not_saved_is_said(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", {"random": (0.6,)})
    assert texts(run, "distances") == ["No histograms were saved with this run."]
    assert texts(run, "pairs") == ["No hardest pairs were saved with this run."]
    assert texts(run, "tuning")[0].startswith("No tuning was saved")
    assert texts(run, "comparisons")[0].startswith("None of the comparisons")
    assert texts(run, "answer")[1].startswith("> After 20 steps **random** has the best")
    assert "no other method has finished" in texts(run, "answer")[1]


def test_a_half_run_grid_names_its_gaps_and_keeps_them_out_of_the_answer(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run")
    (path / "cells" / "semi-hard.seed1.fold0.csv").unlink()
    run = Run(path)
    assert [cell.name for cell in run.missing] == ["semi-hard.seed1.fold0"]
    said = texts(path, "answer")
    assert any(text.startswith("> Not finished: 1 of 12 cells are missing.") for text in said)
    assert "- `semi-hard.seed1.fold0`" in said
    assert "**pml-semi-hard** has the best" in said[1]
    assert "**semi-hard**" not in said[1]
    table = summary_table(run, summary_of(run))
    assert table.rows[0][0].text == "semi-hard (2 of 3 cells)"
    assert not any(cell.best for cell in table.rows[0])


def give_seeds(path: Path, **seeds: list[int]) -> None:
    """What a run folder writes down of the seeds its methods got."""
    file = path / "settings.json"
    written = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(written | {"seeds": seeds}), encoding="utf-8")


def test_methods_of_fewer_seeds_are_compared_in_those_that_both_have(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run", {"semi-hard": (0.80, 0.84, 0.82), "random": (0.66, 0.60)})
    assert Run(path).complete == ["semi-hard"]
    give_seeds(path, **{"semi-hard": [0, 1, 2], "random": [0, 1]})
    run = Run(path)
    assert run.complete == ["semi-hard", "random"]
    gap = paired_gap(run, "semi-hard", "random")
    assert gap.mean == pytest.approx((0.14 + 0.24) / 2)
    assert gap.half == pytest.approx(12.706204736432095 * 0.05)
    said = texts(path, "answer")
    assert "2 or 3 seeds" in said[0]
    assert not any("Not finished" in text for text in said)
    assert "mean of 2 seeds or 3 seeds" in summary_table(run, summary_of(run)).caption
    give_seeds(path, **{"semi-hard": [0, 1, 2], "random": [0, 1, 3]})
    assert [cell.name for cell in Run(path).missing] == ["random.seed3.fold0"]


def test_a_method_of_one_seed_is_paired_fold_by_fold_with_that_seed_alone(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run", {"semi-hard": (0.80, 0.90), "random": (0.60,)})
    for name, ends in {"semi-hard": (0.90, 0.10), "random": (0.50,)}.items():
        for seed, end in enumerate(ends):
            row = ROW | {"step": 20, "recall_at_1": end}
            write_cell(path / "cells", Cell(name, seed, 1), [row])
    file = path / "settings.json"
    written = json.loads(file.read_text(encoding="utf-8"))
    written["settings"]["folds"] = 2
    file.write_text(json.dumps(written), encoding="utf-8")
    give_seeds(path, **{"semi-hard": [0, 1], "random": [0]})
    gap = paired_gap(Run(path), "semi-hard", "random")
    assert gap.mean == pytest.approx((0.20 + 0.40) / 2)
    give_seeds(path, **{"semi-hard": [1], "random": [0]})
    assert math.isnan(paired_gap(Run(path), "semi-hard", "random").mean)


def test_a_run_with_only_the_baseline_has_no_answer(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run", {"random": (0.6,)})
    (path / "cells" / "random.seed0.fold0.csv").unlink()
    assert texts(path, "answer")[1].startswith("> No method has finished")
    assert texts(path, "convergence") == ["No method has been trained yet."]


def test_pairs_of_other_images_are_refused_in_the_page(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distances, "load", small_images)
    run = tmp_path / "run"
    shutil.copytree(folder, run)
    row = {"kind": "genuine", "first": 0, "second": 36, "distance": 1.0}
    pd.DataFrame([row]).to_csv(run / "hardest" / "semi-hard.seed1.fold0.csv", index=False)
    assert "speaks of image 36, 36 are held out" in texts(run, "pairs")[0]


def test_the_pairs_are_those_of_the_best_methods(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distances, "load", small_images)
    sheets = contents(Run(folder))["pairs"]
    assert [sheet.title for sheet in sheets] == [
        "semi-hard, seed 1, fold 0",
        f"{HOSTILE}, seed 1, fold 0",
    ]
    assert sheets[0].found.impostors.tolist() == [[0, 7], [1, 9]]
    assert sheets[0].found.genuine_distances.tolist() == [1.75]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: shutil.rmtree(path), "has no settings.json"),
        (lambda path: (path / "settings.json").write_text("{"), "is not JSON"),
        (lambda path: (path / "settings.json").write_text("[]"), "lacks commands, headline"),
        (
            lambda path: (path / "settings.json").write_text('{"settings": {}, "methods": {}}'),
            "lacks commands, headline, target",
        ),
        (lambda path: shutil.rmtree(path / "cells"), "holds no finished cell yet"),
        (
            lambda path: shutil.copy(
                path / "cells" / "random.seed0.fold0.csv", path / "cells" / "new.seed0.fold0.csv"
            ),
            "has cells of new, unknown",
        ),
        (
            lambda path: (path / "cells" / "random.seed0.fold0.csv").write_text("step\n1\n"),
            "lacks recall_at_1, seconds, mining_seconds",
        ),
        (
            lambda path: (path / "cells" / "random.seed0.fold0.csv").write_text(""),
            "is not a table",
        ),
        (
            lambda path: (path / "cells" / "random.seed0.fold0.csv").write_text(
                "step,recall_at_1,seconds,mining_seconds\n0,high,0,0\n"
            ),
            "has text where numbers belong: recall_at_1",
        ),
        (lambda path: (path / "tuning.csv").write_text("a\n1\n"), "tuning.csv lacks seed"),
    ],
)
def test_a_foreign_folder_ends_with_one_sentence(spoil: object, said: str, tmp_path: Path) -> None:
    path = write_run(tmp_path / "run", {"random": (0.6,)})
    assert callable(spoil)
    spoil(path)
    with pytest.raises(SystemExit) as ended:
        main([str(path), "--out", str(tmp_path / "out")])
    message = ended.value.code
    assert isinstance(message, str)  # a text ends the program with status 1
    assert said in message
    assert "\n" not in message
    assert not (tmp_path / "out").exists()


def test_help_says_what_comes_out() -> None:
    text = parser().format_help()
    for word in ("report.html", "report.md", "report-*.png", "--out", "examples:"):
        assert word in text


# The answer


def said_of(
    tmp_path: Path,
    ends: Mapping[str, Sequence[float]],
    seconds: Mapping[str, float] | None = None,
) -> tuple[str, str]:
    run = Run(write_run(tmp_path / "run", ends, seconds=seconds))
    first, second = answer(run, summary_of(run))
    return plain(first), plain(second)


def test_a_runner_up_far_below_is_said_to_be(tmp_path: Path) -> None:
    first, second = said_of(tmp_path, {"a": (0.80, 0.81, 0.82), "b": (0.70, 0.71, 0.72)})
    assert f"never trained on, 0.810 ± {half((0.80, 0.81, 0.82)):.3f};" in first
    assert "the runner-up, b (0.710 ± 0.025), whose interval ends below it, is" in first
    assert "seed by seed 0.100 ± 0.000 behind, more than chance explains." in first
    assert second.startswith("No other mean lies within its interval; its training took 10.0 s")


def test_overlapping_intervals_may_still_differ_seed_by_seed(tmp_path: Path) -> None:
    ends = {"b": (0.69, 0.79, 0.89), "a": (0.71, 0.81, 0.911)}
    first, _ = said_of(tmp_path, ends)
    gaps = [mine - other for mine, other in zip(ends["a"], ends["b"], strict=True)]
    assert "whose interval overlaps it" in first
    assert f"{statistics.fmean(gaps):.3f} ± {half(gaps):.3f} behind" in first
    assert first.endswith("more than chance explains.")
    run = Run(tmp_path / "run")
    gap = paired_gap(run, "a", "b")
    assert gap.mean == pytest.approx(statistics.fmean(gaps))
    assert gap.half == pytest.approx(half(gaps))


def test_a_difference_smaller_than_its_interval_may_be_chance(tmp_path: Path) -> None:
    first, _ = said_of(tmp_path, {"a": (0.70, 0.80, 0.90), "b": (0.80, 0.69, 0.85)})
    assert "which chance may explain." in first


def test_the_cheapest_within_the_interval_is_named(tmp_path: Path) -> None:
    ends = {"best": (0.80, 0.84, 0.82), "near": (0.79, 0.80, 0.80), "far": (0.1, 0.1, 0.1)}
    assert 0.82 - half(ends["best"]) < statistics.fmean(ends["near"])
    _, second = said_of(tmp_path, ends, {"best": 30.0, "near": 20.0, "far": 1.0})
    assert second.startswith("Within its interval lie the means of 2 methods")
    assert "the cheapest of these is near (0.797 ± 0.014), with 20.0 s of training" in second
    assert second.endswith("against 30.0 s.")


def test_the_best_may_be_the_cheapest_itself(tmp_path: Path) -> None:
    ends = {"best": (0.80, 0.84, 0.82), "near": (0.79, 0.80, 0.80)}
    _, second = said_of(tmp_path, ends, {"best": 15.0, "near": 20.0})
    assert "it is the cheapest of these, with 15.0 s of training" in second


def test_one_seed_has_no_interval(tmp_path: Path) -> None:
    first, second = said_of(tmp_path, {"a": (0.8,), "b": (0.7,)})
    assert "one repeat has no interval: their order may be luck" in first
    assert "±" not in first
    assert "takes more repeats to say" in second


def test_first_at_the_target_by_steps_and_by_seconds(tmp_path: Path) -> None:
    ends = {"quick": (0.8, 0.8), "cheap": (0.8, 0.8), "never": (0.6, 0.9)}
    middles = {"quick": (0.7, 0.75), "cheap": (0.5, 0.6), "never": (0.5, 0.8)}
    path = write_run(
        tmp_path / "run", ends, middles=middles, seconds={"quick": 40, "cheap": 8, "never": 1}
    )
    said = plain(first_to_target(*with_summary(path)))
    assert said == (
        "First at the target, a Recall@1 of 0.7: quick by steps (10) and cheap by training time "
        "(8.0 s)."
    )


def test_the_ratio_to_the_best_of_another_library(tmp_path: Path) -> None:
    ends = {"semi-hard": (0.9, 0.9), "pml-a": (0.8, 0.7), "pml-b": (0.6, 0.6)}
    middles = {"semi-hard": (0.74, 0.78), "pml-a": (0.6, 0.6), "pml-b": (0.5, 0.5)}
    path = write_run(
        tmp_path / "run", ends, middles=middles, seconds={"semi-hard": 16, "pml-a": 20}
    )
    said = against_peers(*with_summary(path))
    assert said is not None
    assert "pml-a, ends at 0.750, which its mean first reaches after 20 steps and 20.0 s" in plain(
        said
    )
    assert "semi-hard, is there after 10 steps and 8.0 s" in plain(said)
    assert said.endswith("2.00 in steps, 2.50 in training time.")


def test_a_peer_that_is_never_reached_is_said_to_be(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run", {"semi-hard": (0.7, 0.7), "pml-a": (0.8, 0.8)})
    said = against_peers(*with_summary(path))
    assert said is not None
    assert said.endswith("**semi-hard**, does not get there.")
    alone = write_run(tmp_path / "alone", {"semi-hard": (0.7, 0.7)})
    assert against_peers(*with_summary(alone)) is None


def write_choice(path: Path, **values: float) -> None:
    """A tuning.csv with one chosen setting a method."""
    lines = [f"{name},{{}},0,0,20,{value},True" for name, value in values.items()]
    head = "method,setting,seed,fold,step,recall_at_1,chosen"
    (path / "tuning.csv").write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")


def test_the_ratio_is_of_the_method_that_did_best_on_validation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ends = {"random": (0.8, 0.8), "semi-hard": (0.9, 0.9), "pml-a": (0.7, 0.7)}
    middles = {"random": (0.75, 0.75), "semi-hard": (0.6, 0.6), "pml-a": (0.6, 0.6)}
    seconds = {"random": 8.0, "semi-hard": 16.0, "pml-a": 20.0}
    path = write_run(tmp_path / "run", ends, middles=middles, seconds=seconds)
    with pytest.raises(SystemExit, match="chose nothing on validation identities: name a --method"):
        ratio.main([str(path)])
    write_choice(path, **{"random": 0.5, "semi-hard": 0.4, "pml-a": 0.9})
    assert ratio.chosen_on_validation(Run(path)) == "random"
    ratio.main([str(path)])
    shown = dict(line.rsplit(maxsplit=1) for line in capsys.readouterr().out.strip().splitlines())
    assert shown["theirs"] == "pml-a"
    assert (shown["ours"], shown["its step"], shown["its s"]) == ("random", "10", "4.0")
    assert (shown["times fewer steps"], shown["times fewer s"]) == ("2.00", "5.00")
    assert ratio.ratio(Run(path), "semi-hard")["times fewer steps"] == "1.00"
    with pytest.raises(SystemExit, match="no complete method 'cosface': random, semi-hard"):
        ratio.main([str(path), "--method", "cosface"])


def test_the_ratio_needs_another_library_and_says_never(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run", {"semi-hard": (0.7, 0.7), "pml-a": (0.8, 0.8)})
    line = ratio.ratio(Run(path), "semi-hard")
    assert (line["its step"], line["times fewer steps"]) == ("never", "–")
    alone = write_run(tmp_path / "alone", {"semi-hard": (0.7, 0.7)})
    with pytest.raises(SystemExit, match="no complete method of another library"):
        ratio.main([str(alone), "--method", "semi-hard"])


def test_a_claim_is_judged_by_the_differences_seed_by_seed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By hand: differences 0.1, 0.12, 0.08 have the half-width 4.3027 · 0.02 / √3 = 0.0497."""
    ends = {"semi-hard": (0.8, 0.72, 0.88), "random": (0.7, 0.6, 0.8), "pml-a": (0.1, 0.1, 0.1)}
    path = write_run(tmp_path / "run", ends)
    one = write_run(tmp_path / "one", {name: each[:1] for name, each in ends.items()})
    worse = {"semi-hard": ends["random"], "random": ends["semi-hard"]}
    other = write_run(tmp_path / "other", worse)
    claims.main([str(path), str(one), str(other)])
    rows = capsys.readouterr().out.splitlines()[2:]
    assert len(rows) == 3
    assert all("FaceNet" in row and "`semi-hard` above `random`" in row for row in rows)
    assert "| run | +0.100\u00a0±\u00a0" in rows[0]
    assert "0.050 Recall@1 | **confirmed** |" in rows[0]
    assert rows[1].endswith("| one | +0.100 Recall@1 | **undecided** |")
    assert rows[2].endswith("**contradicted** |")
    with pytest.raises(SystemExit, match="is not a run folder"):
        claims.main([str(tmp_path)])


# Tuning and distances


def test_tuning_is_the_mean_over_seeds_after_the_last_step(folder: Path) -> None:
    run = Run(folder)
    assert run.tuning is not None
    tried = tried_settings(run, run.tuning)
    assert list(dict.fromkeys(tried["method"])) == list(ENDS)
    assert len(tried) == 3 * len(ENDS)
    mine = tried[tried["method"] == "random"]
    assert mine["recall_at_1"].tolist() == pytest.approx([0.505, 0.51, 0.515])
    assert mine["chosen"].tolist() == [0, 0, 1]


@pytest.mark.parametrize("noise", [0.4, 0.01])  # the second leaves a gap between the kinds
def test_a_histogram_read_back_is_that_of_the_embeddings(tmp_path: Path, noise: float) -> None:
    random = np.random.default_rng(0)
    centres = random.normal(size=(12, 4))
    x = np.repeat(centres, 5, axis=0) + noise * random.normal(size=(60, 4))
    exact = class_distances(x, np.repeat(np.arange(12), 5), bins=2000)
    file = tmp_path / "any.seed0.fold0.csv"
    edges, counts = exact.edges, {"intra": exact.intra, "inter": exact.inter}
    pd.DataFrame({"lower": edges[:-1], "upper": edges[1:], **counts}).to_csv(file, index=False)
    found = read_histogram(file)
    assert found.d_prime == pytest.approx(exact.d_prime, abs=0.01)
    assert found.overlap == pytest.approx(exact.overlap, abs=1e-12)
    assert found.error == pytest.approx(exact.error, abs=1e-12)
    assert found.threshold == exact.threshold

    both = pooled([found, found])
    assert both.intra.sum() == 2 * exact.intra.sum()
    assert both.inter.sum() == 2 * exact.inter.sum()
    assert both.d_prime == pytest.approx(exact.d_prime, abs=0.05)


def test_cells_with_other_edges_pool_to_the_sum_of_their_pairs(tmp_path: Path) -> None:
    cells = []
    for number, (top, counts) in enumerate(((1.0, [4, 0]), (2.0, [0, 8]))):
        file = tmp_path / f"x.seed{number}.fold0.csv"
        edges = {"lower": [0, top / 2], "upper": [top / 2, top]}
        table = pd.DataFrame({**edges, "intra": counts, "inter": counts[::-1]})
        table.to_csv(file, index=False)
        cells.append(read_histogram(file))
    found = pooled(cells)
    below = {edge: found.intra[found.edges[1:] <= edge + 1e-9].sum() for edge in (0.5, 1.0, 2.0)}
    assert below == {0.5: 4, 1.0: 4, 2.0: 12}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lower,upper,intra\n0,1,1\n", "lacks inter"),
        ("lower,upper,intra,inter\n0,1,1,1\n2,3,1,1\n", "do not join"),
        ("lower,upper,intra,inter\n0,1,0,1\n", "counts no pair"),
    ],
)
def test_another_file_is_no_histogram(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "x.seed0.fold0.csv"
    file.write_text(text)
    with pytest.raises(ValueError, match=said):
        read_histogram(file)


def test_both_libraries_rules_and_the_stories_are_told_where_they_ran(folder: Path) -> None:
    assert [panel.title for panel in story_panels(Run(folder))] == [
        "Random, semi-hard, hardest, by step",
        "Random, semi-hard, hardest, by second",
        "One loss, several miners, by step",
        "One loss, several miners, by second",
        "semi-hard in both libraries, by step",
        "semi-hard in both libraries, by second",
    ]
