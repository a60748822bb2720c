"""Pairs of templates, millions of them."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metricface.evaluation.protocols.ijb import IjbTemplates
from metricface.evaluation.protocols.numbers import NumberLines, Numbers, rows_of
from metricface.types import Labels

_LABELLED = NumberLines(3, "'template template 0|1'", flag=True)
_MATCHES = NumberLines(2, "'template,template'", comma=True)


@dataclass(frozen=True, eq=False)
class TemplatePairs:
    """Pairs of templates by number, in the order of the file."""

    templates: Numbers
    """Both templates of each pair, ``[T, 2]``."""
    same: npt.NDArray[np.bool_]
    """Whether both are of one person, ``[T]``."""
    folds: int = 1
    """Such a list has no folds: its figures are TARs at FARs over all of it."""

    def rows(self, names: Labels) -> Numbers:
        """The pairs as rows of the templates' embeddings, as :func:`verification` takes them.

        Args:
            names: number of the template of each embedding, as :func:`mean_templates` returns
                them.

        Returns:
            int64 ``[T, 2]``.

        Raises:
            ValueError: a pair needs a template that is not among them, or one is there twice.
            TypeError: they are no numbers.

        Example:
            >>> pairs = TemplatePairs(np.array([[7, 9], [9, 4]]), np.array([True, False]))
            >>> pairs.rows([4, 7, 9]).tolist()
            [[1, 2], [2, 0]]
        """
        rows = np.empty(self.templates.shape, dtype=np.int64)
        for side in range(2):
            rows[:, side] = rows_of(self.templates[:, side], names, "pair")
        return rows


def read_ijb_pairs(file: str | os.PathLike[str]) -> TemplatePairs:
    r"""Read the pairs of IJB-B or IJB-C as insightface distributes them.

    A line of ``ijbc_template_pair_label.txt`` is ``template template 1`` where both show one
    person, and ``… 0`` where they do not. IJB-C has 15,658,489 of them, which are read in
    seconds.

    Args:
        file: the path.

    Raises:
        ValueError: a line is damaged or the file is empty (the file and the line are named).
        OSError: the file cannot be read.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder, "ijbc_template_pair_label.txt")
        ...     _ = file.write_text("1 11065 1\n1 11066 0\n")
        ...     read_ijb_pairs(file).same
        array([ True, False])

    Reference:
        Maze et al., "IARPA Janus Benchmark – C" (2018), section 4.
    """
    table = _LABELLED.read(file)
    return TemplatePairs(table[:, :2], table[:, 2] == 1)


def read_ijb_matches(file: str | os.PathLike[str], *sides: IjbTemplates) -> TemplatePairs:
    r"""Read the pairs of IJB-B or IJB-C as NIST distributes them.

    A line of ``ijbc_11_G1_G2_matches.csv``, or of ``match.csv``, is ``template,template``. Whether
    both show one person is told by the lists of the templates.

    Args:
        file: the path.
        *sides: the lists that name the person of each template, such as both galleries and the
            probes.

    Raises:
        ValueError: a line is damaged or the file is empty (the file and the line are named), a
            template is in none of the lists, or of another person in each of two.
        OSError: the file cannot be read.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> gallery = IjbTemplates(np.array([1, 2]), np.array([70, 80]))
        >>> probes = IjbTemplates(np.array([5]), np.array([80]))
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder, "ijbc_11_G1_G2_matches.csv")
        ...     _ = file.write_text("1,5\n2,5\n")
        ...     read_ijb_matches(file, gallery, probes).same
        array([False,  True])
    """
    if not sides:
        raise ValueError(
            f"{file} does not say who is who: give the lists that name the person of each "
            "template, such as read_ijb_templates of both galleries and of the probes"
        )
    known = np.concatenate([np.stack([side.ids, side.subjects], axis=1) for side in sides])
    known = np.unique(known, axis=0)
    twice = known[1:, 0] == known[:-1, 0]
    if twice.any():
        one, other = known[int(twice.argmax()) :][:2].tolist()
        raise ValueError(
            f"template {one[0]} is of subject {one[1]} in one list and of {other[1]} in another"
        )
    templates = _MATCHES.read(file)
    what, missing = f"{file}: pair", "is in none of the lists"
    first, second = (
        known[rows_of(templates[:, side], known[:, 0], what, missing=missing), 1]
        for side in range(2)
    )
    return TemplatePairs(templates, first == second)
