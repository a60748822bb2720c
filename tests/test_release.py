"""What is built is what somebody else can use: the wheel and the archive."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytest

import metricface

ROOT = Path(__file__).parent.parent
#: Modules that are of use with an extra only, and the first thing each lacks.
EXTRAS = {"cli": "typer", "evaluation.streaming": "torchmetrics"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as it is installed."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(next(built.glob("*.whl"))) as file:
        file.extractall(folder)
    return folder


def needed(names: Sequence[str]) -> list[Distribution]:
    """These distributions and all that they need."""
    found: dict[str, Distribution] = {}
    waiting = list(names)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        try:
            found[name] = found.get(name) or distribution(name)
        except PackageNotFoundError:  # for another system
            continue
        for each in found[name].requires or []:
            other = re.split(r"[ ;<>=!~\[(]", each)[0]
            if "extra ==" not in each and re.sub(r"[-_.]+", "-", other).lower() not in found:
                waiting.append(other)
    return list(found.values())


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with torch, NumPy, SciPy and what these need, and nothing else."""
    folder = tmp_path_factory.mktemp("packages")
    for each in needed(["torch", "numpy", "scipy"]):
        home = Path(str(each.locate_file("")))
        for name in {Path(str(file)).parts[0] for file in each.files or ()} - {"..", "__pycache__"}:
            if not (folder / name).exists() and (home / name).exists():
                (folder / name).symlink_to(home / name)
    return folder


@pytest.fixture(scope="module")
def clean(wheel: Path, packages: Path) -> Any:
    """What is found with torch, NumPy and SciPy alone."""
    program = str(ROOT / "tests" / "clean_program.py")
    command = [sys.executable, "-I", "-S", program, str(wheel), str(packages)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_wheel_is_what_is_imported(clean: Any, wheel: Path) -> None:
    assert Path(clean["file"]).is_relative_to(wheel)


def test_a_training_step_takes_nothing_else(clean: Any) -> None:
    assert clean["step"] < 0


def test_what_lacks_something_is_known(clean: Any) -> None:
    for module, sentence in clean["lacking"].items():
        inside = [each for each in EXTRAS if f"{module}.".startswith(f"metricface.{each}.")]
        assert inside, f"{module}: {sentence}"
        assert EXTRAS[inside[0]] in sentence
    assert "metricface.evaluation.streaming" in clean["lacking"]


def test_the_core_brings_no_other_package_in(clean: Any) -> None:
    """``import metricface`` and its core cost what torch costs."""
    assert set(clean["added"]) <= {"metricface", "numpy", "scipy", "torch", "torchgen"}


def test_the_wheel_holds_the_package_and_its_types(wheel: Path) -> None:
    assert (wheel / "metricface" / "py.typed").is_file()
    sources = {path.relative_to(ROOT) for path in (ROOT / "metricface").rglob("*.py")}
    assert sources == {path.relative_to(wheel) for path in (wheel / "metricface").rglob("*.py")}
    (information,) = wheel.glob("*.dist-info")
    assert {path.name for path in wheel.iterdir()} == {"metricface", information.name}
    assert (information / "licenses" / "LICENSE").is_file()


def test_what_the_index_shows_leads_nowhere(wheel: Path) -> None:
    """There are no other files beside it, and no pictures."""
    text = next(wheel.glob("*.dist-info/METADATA")).read_text(encoding="utf-8")
    assert "## A training loop" in text
    assert re.findall(r"\]\((?!https?://)[^)]*\)", text) == []


def test_the_archive_holds_what_the_tests_need(built: Path) -> None:
    name = f"metricface-{metricface.__version__}"
    with tarfile.open(built / f"{name}.tar.gz") as archive:
        files = set(archive.getnames())
    wanted = ("README.md", "CHANGELOG.md", "LICENSE", "CITATION.cff", "tests/cases.py", "Makefile")
    assert {f"{name}/{file}" for file in wanted} <= files
    assert not [file for file in files if "/runs/" in file or "/_build/" in file]


def test_the_citation_is_of_this_version() -> None:
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"version: {metricface.__version__}\n" in text


def test_the_changelog_has_this_version_and_what_comes() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## \[(.*?)\]", text, re.MULTILINE)[0] == "Unreleased"
