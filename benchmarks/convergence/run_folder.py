"""The files of a run: its settings, and what each finished cell has shown."""

from __future__ import annotations

import json
import platform
import re
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import pandas as pd
import torch

from benchmarks.convergence.methods import Method
from benchmarks.convergence.settings import Chosen, Settings
from benchmarks.convergence.summary import at_one_pace
from benchmarks.files import write_table
from metricface.evaluation import ClassDistances, HardestPairs
from metricface.files import clear_leftovers, used_alone, write_whole
from metricface.recipes.resuming.described import changes

RAW_PIXELS, UNTRAINED = "raw-pixels", "untrained"
"""What goes by the name of a method and is not trained: the pixels, and the initial weights."""

PACKED = "cells.zip"
"""Holds the files of a published run, each under the path it had in the run folder."""

Kind: TypeAlias = Literal["cells", "histograms", "hardest"]
File: TypeAlias = "Path | zipfile.Path"


class Cell(NamedTuple):
    """One training: a method, a seed, a fold of the identities."""

    method: str
    seed: int
    fold: int

    @property
    def name(self) -> str:
        """The stem of the cell's files."""
        return f"{self.method}.seed{self.seed}.fold{self.fold}"

    @classmethod
    def named(cls, name: str) -> Cell:
        """The cell of a file's stem.

        Raises:
            ValueError: not such a stem.

        Example:
            >>> Cell.named("semi-hard.seed2.fold0")
            Cell(method='semi-hard', seed=2, fold=0)
        """
        found = re.fullmatch(r"(.+)\.seed(\d+)\.fold(\d+)", name)
        if found is None:
            raise ValueError(f"a cell is called METHOD.seedS.foldF, got {name!r}")
        return cls(found[1], int(found[2]), int(found[3]))


class RunFolder:
    """A folder that belongs to one :class:`Settings` and fills up with finished cells.

    ``settings.json`` says what the cells share and how each method was set; ``cells/NAME.csv``
    exists once the cell is finished, ``checkpoints/NAME/`` while it is not. ``histograms/`` and
    ``hardest/`` hold what a cell's final embeddings look like. A published run has them all in
    ``cells.zip``. Methods and seeds may be added in a later run; settings may not change.

    Args:
        path: the folder; made if missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cells = path / "cells"
        self.checkpoints = path / "checkpoints"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other runs out of the folder, and clear away what killed ones left half done.

        Raises:
            BlockingIOError: another run uses the folder.
        """
        with used_alone(self.path) as certain:
            if certain:  # the names of a run alone: a report may be written here meanwhile
                clear_leftovers(self.path, ("settings.json", "results.csv", "summary.csv"))
                for name in ("cells", "histograms", "hardest"):
                    clear_leftovers(self.path / name)
            yield

    def claim(
        self,
        settings: Settings,
        methods: Sequence[Method],
        *,
        chosen: Chosen,
        seeds: Sequence[int],
        goal: tuple[str, float],
        command: str,
    ) -> None:
        """Write the settings, or check them against those the folder was begun with.

        Args:
            settings: of all cells.
            methods: that will run.
            chosen: the values of each method's parameters, by its name and fold.
            seeds: that these methods get, beside those they have had.
            goal: the metric of the run and its target.
            command: as it was typed.

        Raises:
            ValueError: a setting, or the rule or a value of a method that has run here, changed.
        """
        content: dict[str, Any] = {
            "settings": asdict(settings),
            "headline": goal[0],
            "target": goal[1],
            "methods": {
                method.name: {
                    "rule": method.rule,
                    "family": method.family,
                    "chosen": chosen[method.name],
                }
                for method in methods
            },
            "seeds": {method.name: list(seeds) for method in methods},
            "machines": [machine()],
            "commands": [command],
        }
        old = self.written()
        if old is not None:
            known = old["methods"]
            again = {name: known[name] for name in content["methods"] if name in known}
            # A setting that is younger than the folder had its default there.
            before = asdict(Settings(**old["settings"]))
            changed = changes(before, content["settings"]) + changes(
                again, {name: content["methods"][name] for name in again}
            )
            if changed:
                raise ValueError(
                    f"{self.path} holds a run with other settings: {'; '.join(changed)}. "
                    "Give the old settings or another --out."
                )
            content["methods"] = known | content["methods"]
            given = old.get("seeds", {})
            content["seeds"] = given | {
                name: sorted({*now, *given.get(name, ())}) for name, now in content["seeds"].items()
            }
            met = old.get("machines", [])
            content["machines"] = met + [now for now in content["machines"] if now not in met]
            content["commands"] = [*dict.fromkeys([*old["commands"], command])]
        for folder in (self.cells, self.checkpoints):
            folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(content, indent=2) + "\n"
        file = self.path / "settings.json"
        write_whole(file, lambda part: part.write_text(text, encoding="utf-8"))

    def written(self) -> dict[str, Any] | None:
        """What ``settings.json`` says; None before the folder is claimed.

        Raises:
            ValueError: the file is of another form.
        """
        file = self.path / "settings.json"
        if not file.exists():
            return None
        try:
            content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{file} is not JSON: {error}") from error
        missing = {"settings", "headline", "target", "methods", "commands"}
        missing -= set(content) if isinstance(content, dict) else set()
        if missing:
            raise ValueError(
                f"{file} lacks {', '.join(sorted(missing))}: not a run of this version"
            )
        for name, method in content["methods"].items():
            lacks = {"rule", "family", "chosen"} - set(method)
            if lacks:
                raise ValueError(f"{file} does not say {', '.join(sorted(lacks))} of {name}")
        if not all(isinstance(method["chosen"], list) for method in content["methods"].values()):
            raise ValueError(f"{file} chose once for all folds: not a run of this version")
        seeds = content.get("seeds", {})  # of older folders every method has the same
        if not isinstance(seeds, dict) or not all(isinstance(n, list) for n in seeds.values()):
            raise ValueError(f"{file}: seeds must be those of each method, got {seeds!r}")
        return content

    def finished(self, cell: Cell) -> bool:
        """Whether the cell has run to its end."""
        return (self.cells / f"{cell.name}.csv").exists() or cell in self.files("cells")

    def finish(self, cell: Cell, rows: Sequence[Mapping[str, float]]) -> None:
        """Write the cell's rows: from here on it is finished, and its checkpoint is gone."""
        table = pd.DataFrame([{**cell._asdict(), **row} for row in rows])
        write_table(self.cells / f"{cell.name}.csv", table.astype({"step": int}))
        shutil.rmtree(self.checkpoints / cell.name, ignore_errors=True)

    def describe(self, cell: Cell, distances: ClassDistances, pairs: HardestPairs) -> None:
        """Write what a cell's embeddings look like: its histograms and its hardest pairs."""
        histogram = pd.DataFrame(
            {
                "lower": distances.edges[:-1],
                "upper": distances.edges[1:],
                "intra": distances.intra,
                "inter": distances.inter,
            }
        )
        kinds = {
            "impostor": (pairs.impostors, pairs.impostor_distances),
            "genuine": (pairs.genuine, pairs.genuine_distances),
        }
        hardest = pd.concat(
            pd.DataFrame({"kind": kind, "first": a, "second": b, "distance": distance})
            for kind, ((a, b), distance) in ((k, (p.T, d)) for k, (p, d) in kinds.items())
        )
        for folder, table in (("histograms", histogram), ("hardest", hardest)):
            (self.path / folder).mkdir(exist_ok=True)
            write_table(self.path / folder / f"{cell.name}.csv", table)

    def files(self, kind: Kind) -> dict[Cell, File]:
        """The files of a kind by cell, sorted: from ``cells.zip``, the folder, or both.

        Both are there where a published run has gone on.

        Raises:
            ValueError: ``cells.zip`` is not a zip file.
        """
        folders: list[File] = [self.path / kind] if (self.path / kind).is_dir() else []
        packed = self.path / PACKED
        if packed.exists():
            try:
                folders.insert(0, zipfile.Path(packed, f"{kind}/"))
            except zipfile.BadZipFile as error:
                raise ValueError(f"{packed} is not a zip file: fetch it anew") from error
        found: dict[Cell, File] = {}
        for folder in folders:
            for file in folder.iterdir():
                if re.fullmatch(r"[^.].*\.seed\d+\.fold\d+\.csv", file.name):
                    found[Cell.named(file.name.removesuffix(".csv"))] = file
        return dict(sorted(found.items()))

    def results(self) -> pd.DataFrame:
        """The rows of all finished cells, :func:`at_one_pace`."""
        tables = []
        for file in sorted(self.files("cells").values(), key=lambda file: file.name):
            with file.open(encoding="utf-8") as text:
                tables.append(pd.read_csv(text))
        return at_one_pace(pd.concat(tables, ignore_index=True))


def machine() -> dict[str, Any]:
    """Where the run is made."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "system": platform.system(),
        "processor": _processor(),
    }


def _processor() -> str:
    """The processor's name, which Linux keeps in a file of its own."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
