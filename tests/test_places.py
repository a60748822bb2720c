"""A miner, a loss, a sampler or a classifier stands in four places, and in all of them.

They are its file, its package's ``__init__``, the table of cases over which the contract tests
loop, and the table that the documentation has of its family (CONTRIBUTING.md says so too).
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
from torch import nn

from metricface.classifiers import Classifier, ShardedClassifier
from metricface.losses import EmbeddingLoss
from metricface.miners import Miner
from metricface.samplers import IdentitySampler
from tests.cases import CLASSIFIERS, LOSSES, MINERS, OTHER_LOSSES
from tests.samplers.cases import SAMPLERS

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Family:
    """Where those of one kind stand.

    The first table of ``page`` lists them; ``cases`` is the file with their table of cases, and
    ``tried`` what these make.
    """

    base: type
    page: str
    cases: str
    tried: Iterable[type]

    @property
    def package(self) -> str:
        return self.base.__module__.split(".")[1]

    def defined(self) -> dict[str, type]:
        """All that can be made, in any file of the package; what begins with _ is private."""
        package = importlib.import_module(f"metricface.{self.package}")
        found = {}
        for file in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            for name, kind in inspect.getmembers(importlib.import_module(file.name), self._member):
                if kind.__module__ == file.name and not name.startswith("_"):
                    found[name] = kind
        return found

    def _member(self, value: object) -> bool:
        """Of the base class; or a module that is exported, or called as they are."""
        if not isinstance(value, type) or value is self.base or inspect.isabstract(value):
            return False
        called = value.__name__.endswith(re.findall(r"[A-Z][a-z]+", self.base.__name__)[-1])
        module = issubclass(value, nn.Module) and (called or value.__name__ in self.exported())
        return issubclass(value, self.base) or module

    def exported(self) -> set[str]:
        return set(importlib.import_module(f"metricface.{self.package}").__all__)

    def listed(self) -> set[str]:
        """The classes named in the first table of the page."""
        lines = (ROOT / "docs" / self.page).read_text(encoding="utf-8").splitlines()
        first = next(n for n, line in enumerate(lines) if line.startswith("|"))
        rows = lines[first + 2 :]
        ends = (n for n, line in enumerate(rows) if not line.startswith("|"))
        return set(re.findall(r"`([A-Z]\w*)", "\n".join(rows[: next(ends, None)])))

    def missing(self) -> list[str]:
        """What was forgotten, a place a line."""
        tried = {kind.__name__ for kind in self.tried}
        forgotten = []
        for name, kind in self.defined().items():
            file = Path(inspect.getfile(kind)).relative_to(ROOT)
            if not is_named_for(file, kind):
                forgotten.append(f"{file}: neither its name nor its first line says {name}")
            if name not in self.exported():
                forgotten.append(f"metricface/{self.package}/__init__.py: does not export {name}")
            if name not in tried:
                forgotten.append(f"{self.cases}: no case of {name}")
            if name not in self.listed():
                forgotten.append(f"docs/{self.page}: {name} is not in the first table")
        for name in self.listed() - set(self.defined()):
            forgotten.append(f"docs/{self.page}: metricface.{self.package} has no {name}")
        return forgotten


def is_named_for(file: Path, kind: type) -> bool:
    """Whether the name of a file, or its first line, tells that the class is in it."""
    stem, name = file.stem.replace("_", ""), kind.__name__.lower()
    short = re.sub(r"(miner|loss|sampler)$", "", name)
    title = (ROOT / file).read_text(encoding="utf-8").split("\n", 1)[0]
    return stem in name or short in stem or name in title.replace("-", "").lower()


def kinds(cases: Iterable[Callable[..., object]]) -> list[type]:
    """The classes that the cases make."""
    made = (case.func if isinstance(case, partial) else case for case in cases)
    return [kind for kind in made if isinstance(kind, type)]


FAMILIES = [
    Family(Miner, "mining.md", "tests/cases.py", kinds(MINERS.values())),
    Family(
        EmbeddingLoss,
        "losses.md",
        "tests/cases.py",
        kinds([*LOSSES.values(), *OTHER_LOSSES.values()]),
    ),
    Family(
        Classifier,
        "classifiers.md",
        "tests/cases.py",
        # whose contracts are that of every case being whole and in parts the same
        [*kinds(CLASSIFIERS.values()), ShardedClassifier],
    ),
    Family(
        IdentitySampler,
        "samplers.md",
        "tests/samplers/cases.py",
        [type(make(0)) for make in SAMPLERS.values()],
    ),
]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.package)
def test_no_place_was_forgotten(family: Family) -> None:
    assert len(family.defined()) >= 3
    forgotten = family.missing()
    if forgotten:
        pytest.fail("\n".join(["forgotten (see CONTRIBUTING.md):", *forgotten]), pytrace=False)


def test_the_places_are_written_down() -> None:
    said = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for family in FAMILIES:
        assert f"(docs/{family.page})" in said
        assert f"`{family.cases}`" in said


def test_each_place_that_is_missing_is_named() -> None:
    """Held against the page of another family, every class lacks its row, and no row fits."""
    miners = FAMILIES[0]
    lines = replace(miners, page="samplers.md", tried=[]).missing()
    for name in miners.defined():
        assert f"tests/cases.py: no case of {name}" in lines
        assert f"docs/samplers.md: {name} is not in the first table" in lines
    assert "docs/samplers.md: metricface.miners has no PKSampler" in lines
