"""IJB-C from its lists to its figures, on embeddings that are made up, at any share of its size."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from benchmarks.devices import CPU
from benchmarks.scale.against_product import in_own_process, peak_mib
from benchmarks.scale.table import Column, show
from metricface.evaluation import (
    Identification,
    Templates,
    Verification,
    identification,
    mean_identification,
    mean_templates,
    read_ijb_faces,
    read_ijb_pairs,
    read_ijb_templates,
    verification,
)

DESCRIPTION = """\
Seconds and peak memory of IJB-C's protocols: its lists are written by their published form, at a
share of its size (1: 469,375 faces in 23,124 templates, 15,658,489 pairs), and read; embeddings
are made up so that the figures are neither 0 nor 1.

  read faces     ijbc_face_tid_mid.txt
  read pairs     ijbc_template_pair_label.txt
  pool           frames of a medium, then media of a template
  find rows      the row of each template of each pair
  verify         TAR at FAR 1e-6 to 1e-1
  identify       probes in both galleries, the mean of rank 1 and of detection at a rate of 0.01

All in one process. "added" is its peak memory up to the end of a step, less what it held before
the first, which are the embeddings of all faces.
"""
SUBJECTS, FIRST_GALLERY, PROBES = 3_531, 1_772, 19_593
FACES, GENUINE, PAIRS = 469_375, 19_557, 15_658_489
LARGEST_NUMBER = 187_955  # of a template
FARS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
ALARMS = 0.01
_PART = 4096  # faces made together, few beside what the steps add
Made = TypeVar("Made")
Array = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Size:
    """A share of IJB-C."""

    share: float
    dim: int

    @property
    def subjects(self) -> int:
        """People, each with a template in one of the galleries."""
        return max(4, round(SUBJECTS * self.share))

    @property
    def first_gallery(self) -> int:
        """The people of the first gallery; the others are in the second."""
        return max(2, round(FIRST_GALLERY * self.share))

    @cached_property
    def subject(self) -> Array:
        """The person of each template: those of the galleries first, then the probes'."""
        generator = np.random.default_rng(1)
        probes = max(self.subjects, round(PROBES * self.share))
        own = np.arange(self.subjects)
        more = generator.integers(0, self.subjects, probes - self.subjects)
        return np.concatenate([own, own, more])

    @cached_property
    def number(self) -> Array:
        """The number of each template."""
        largest = max(LARGEST_NUMBER, 2 * len(self.subject))
        return np.random.default_rng(2).permutation(largest)[: len(self.subject)] + 1

    @cached_property
    def template(self) -> Array:
        """The template of each face, which has one at least; some have many."""
        generator = np.random.default_rng(3)
        count = len(self.subject)
        share = generator.exponential(size=count) ** 2
        more = max(0, round(FACES * self.share) - count)
        drawn = generator.choice(count, more, p=share / share.sum())
        return np.sort(np.concatenate([np.arange(count), drawn]))

    def pairs(self) -> tuple[Array, Array]:
        """Places of both templates of each pair, and whether they are of one person."""
        generator = np.random.default_rng(4)
        genuine = max(2, round(GENUINE * self.share))
        probes = np.arange(self.subjects, len(self.subject))[:genuine]
        strangers = max(2, round(PAIRS * self.share) - len(probes))
        first = generator.integers(0, self.subjects, strangers)
        second = generator.integers(self.subjects, len(self.subject), strangers)
        first[first == self.subject[second]] += 1
        first %= self.subjects
        both = np.stack([np.append(self.subject[probes], first), np.append(probes, second)], axis=1)
        return both, (np.arange(len(both)) < len(probes)).astype(np.int64)

    def embeddings(self) -> Tensor:
        """Embeddings of all faces: some templates lie far from their person."""
        generator = torch.Generator().manual_seed(5)
        inner = min(32, self.dim)
        centre = torch.zeros(self.subjects, self.dim)
        centre[:, :inner] = torch.randn(self.subjects, inner, generator=generator)
        strange = torch.rand(len(self.subject), 1, generator=generator) ** 2
        offset = torch.randn(len(self.subject), self.dim, generator=generator).mul_(0.5 * strange)
        own, template = torch.from_numpy(self.subject), torch.from_numpy(self.template)
        x = torch.empty(len(template), self.dim)
        for part, of in zip(torch.split(x, _PART), torch.split(template, _PART), strict=True):
            part.normal_(generator=generator).mul_(0.3).add_(offset[of]).add_(centre[own[of]])
        return x


@dataclass(frozen=True)
class Row:
    """One step."""

    step: str
    count: int
    seconds: float
    cpu_s: float
    added_mib: float
    note: str = ""


COLUMNS = (
    Column("step", "step", "<12"),
    Column("count", "count", ">12,"),
    Column("seconds", "seconds", ">10.2f"),
    Column("cpu_s", "CPU s", ">10.2f"),
    Column("added_mib", "added MiB", ">11,.0f"),
    Column("note", "", "<2"),
)


def write_lists(size: Size, folder: Path) -> None:
    """All lists by their published form."""

    def write(name: str, columns: dict[str, Any], *, comma: bool = False) -> None:
        table = pd.DataFrame(columns)
        table.to_csv(folder / name, sep="," if comma else " ", header=comma, index=False)

    faces = np.arange(1, len(size.template) + 1)
    names = pd.Series(faces).astype(str) + ".jpg"
    media = 1 + (np.random.default_rng(6).random(len(faces)) < 0.25).cumsum()
    numbers = size.number[size.template]
    write("ijbc_face_tid_mid.txt", {"name": names, "template": numbers, "medium": media})
    both, same = size.pairs()
    first, second = size.number[both].T
    write("ijbc_template_pair_label.txt", {"first": first, "second": second, "same": same})
    bounds = (0, size.first_gallery, size.subjects, len(size.subject))
    lists = ("1N_gallery_G1", "1N_gallery_G2", "1N_probe_mixed")
    for name, start, stop in zip(lists, bounds[:-1], bounds[1:], strict=True):
        own = (size.template >= start) & (size.template < stop)
        columns = {
            "TEMPLATE_ID": numbers[own],
            "SUBJECT_ID": 1 + size.subject[size.template[own]],
            "FILENAME": "img/" + names[own],
            "SIGHTING_ID": media[own],
        }
        write(f"ijbc_{name}.csv", columns, comma=True)


class _Steps:
    """What each step took."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._before = peak_mib(CPU)

    def take(self, step: str, work: Callable[[], Made], count: Callable[[Made], int]) -> Made:
        """Do a step and remember what it took."""
        start, cpu = perf_counter(), process_time()
        found = work()
        seconds, cpu_s = perf_counter() - start, process_time() - cpu
        added = peak_mib(CPU) - self._before
        self.rows.append(Row(step, count(found), seconds, cpu_s, added))
        return found

    def note(self, text: str) -> None:
        """Say something of the last step."""
        self.rows[-1] = replace(self.rows[-1], note=f"  {text}")


def measured(size: Size, folder: Path, threads: int) -> list[Row]:
    """The rows of all steps, in a process whose memory is their own."""
    torch.set_num_threads(threads)
    x = size.embeddings()
    mean_templates(x[:100], size.template[:100])  # what a first call takes is not measured
    steps = _Steps()
    faces = steps.take(
        "read faces",
        lambda: read_ijb_faces(folder / "ijbc_face_tid_mid.txt"),
        lambda found: len(found.names),
    )
    pairs = steps.take(
        "read pairs",
        lambda: read_ijb_pairs(folder / "ijbc_template_pair_label.txt"),
        lambda found: len(found.same),
    )
    pooled = steps.take(
        "pool",
        lambda: mean_templates(x, faces.templates, media=faces.media),
        lambda found: len(found.names),
    )
    rows = steps.take("find rows", lambda: pairs.rows(pooled.names), len)

    def verify() -> Verification:
        same, folds = pairs.same, pairs.folds
        fars = [far for far in FARS if far * (~same).sum() >= 1]
        return verification(pooled.embeddings, pairs=rows, same=same, folds=folds, fars=fars)

    found = steps.take("verify", verify, lambda _: len(rows))
    steps.note("TAR at FAR " + ", ".join(f"{far:g}: {tar:.4f}" for far, tar in found.tar.items()))
    galleries = steps.take(
        "identify", lambda: _identified(pooled, folder), lambda each: each[0].mated + each[1].mated
    )
    mean = mean_identification(galleries)
    steps.note(f"rank 1 {mean.rank[1]:.4f}, detection {mean.detection[ALARMS]:.4f}")
    return steps.rows


def _identified(pooled: Templates, folder: Path) -> list[Identification]:
    lists = [
        read_ijb_templates(folder / f"ijbc_1N_{name}.csv")
        for name in ("gallery_G1", "gallery_G2", "probe_mixed")
    ]
    first, second, probes = (
        (pooled.embeddings[each.rows(pooled.names)], each.subjects) for each in lists
    )
    return [
        identification(*gallery, *probes, ranks=(1,), false_alarms=(ALARMS,))
        for gallery in (first, second)
    ]


def rows_of(options: argparse.Namespace) -> Iterator[Row]:
    """The table's rows."""
    size = Size(options.share, options.dim)
    with TemporaryDirectory() as folder:
        in_own_process(write_lists, size, Path(folder))
        yield from in_own_process(measured, size, Path(folder), options.threads)


def add_command(commands: Any) -> None:
    """Add ``ijb`` to the command line."""
    command = commands.add_parser(
        "ijb",
        help="IJB-C's protocols from its lists to its figures",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = command.add_argument
    add("--share", type=float, default=0.1, help="of IJB-C's size, default 0.1; 1 is all of it")
    add("--dim", type=int, default=512, help="default 512")
    add("--threads", type=int, default=2, help="default 2")
    add("--out", type=Path, metavar="FILE", help="write the table as CSV too")
    command.set_defaults(run=lambda options: show(rows_of(options), COLUMNS, options.out))
