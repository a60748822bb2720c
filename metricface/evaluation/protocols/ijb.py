"""The faces of IJB-B and IJB-C: their templates, media, landmarks and people."""

from __future__ import annotations

import os
from array import array
from dataclasses import dataclass, field
from math import isfinite

import numpy as np
import numpy.typing as npt

from metricface.evaluation.protocols.lines import csv_rows, is_number, lines_of, short
from metricface.evaluation.protocols.numbers import Numbers, rows_of
from metricface.types import Labels

_NOBODY = np.empty(0, dtype=np.int64)
_POINTS = 10  # numbers of five points


@dataclass(frozen=True, eq=False)
class IjbFaces:
    """Faces and the templates they belong to, in the order of the file."""

    names: tuple[str, ...]
    """The image of each face, ``[N]``."""
    templates: Numbers
    """The template of each, ``[N]``."""
    media: Numbers | None
    """The medium of each, a picture or a video, ``[N]``; None where the list does not tell."""


@dataclass(frozen=True, eq=False)
class IjbLandmarks:
    """Where each face is, in the order of the file."""

    names: tuple[str, ...]
    """The image of each face, ``[N]``."""
    points: npt.NDArray[np.float64]
    """Eyes, nose and corners of the mouth in pixels, x before y, ``[N, 5, 2]``."""
    scores: npt.NDArray[np.float64]
    """How sure the detector was that it is a face, ``[N]``."""


@dataclass(frozen=True, eq=False)
class IjbTemplates:
    """The templates of a gallery or of probes, and the person each shows."""

    ids: Numbers
    """The number of each template, ascending, ``[M]``."""
    subjects: Numbers
    """The person of each, ``[M]``."""
    faces: IjbFaces = field(repr=False, default=IjbFaces((), _NOBODY, None))
    """What each is made of, line by line."""

    def rows(self, names: Labels) -> Numbers:
        """Where the embeddings of these templates are among those of all.

        Args:
            names: number of the template of each embedding, as :func:`mean_templates` returns
                them.

        Returns:
            int64 ``[M]``.

        Raises:
            ValueError: a template is not among them, or one is there twice.
            TypeError: they are no numbers.

        Example:
            >>> IjbTemplates(np.array([4, 9]), np.array([70, 80])).rows([1, 4, 9]).tolist()
            [1, 2]
        """
        return rows_of(self.ids, names, "entry")


def read_ijb_faces(file: str | os.PathLike[str]) -> IjbFaces:
    r"""Read ``ijbc_face_tid_mid.txt``, the templates of all faces as insightface distributes them.

    A line is ``NAME.jpg template medium``.

    Args:
        file: the path.

    Raises:
        ValueError: a line is damaged or the file is empty (the file and the line are named).
        OSError: the file cannot be read.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder, "ijbc_face_tid_mid.txt")
        ...     _ = file.write_text("1.jpg 1 69544\n2.jpg 1 3720\n")
        ...     read_ijb_faces(file).media
        array([69544,  3720])
    """
    names, numbers = [], array("q")
    for line in lines_of(file):
        words = line.text.rsplit(maxsplit=2)
        if [is_number(word.strip()) for word in words] != [False, True, True]:
            raise line.wrong("'image template medium'")
        names.append(words[0].strip())
        numbers.extend((int(words[1]), int(words[2])))
    if not names:
        raise ValueError(f"{file} lists no faces")
    templates, media = np.array(numbers, dtype=np.int64).reshape(-1, 2).T
    return IjbFaces(tuple(names), np.ascontiguousarray(templates), np.ascontiguousarray(media))


def read_ijb_landmarks(file: str | os.PathLike[str]) -> IjbLandmarks:
    r"""Read ``ijbc_name_5pts_score.txt``, where insightface found each face.

    A line is ``NAME.jpg x y x y x y x y x y score``. Faces come in the order of
    ``ijbc_face_tid_mid.txt``.

    Args:
        file: the path.

    Raises:
        ValueError: a line is damaged or the file is empty (the file and the line are named).
        OSError: the file cannot be read.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder, "ijbc_name_5pts_score.txt")
        ...     _ = file.write_text("1.jpg 46.1 62 87.8 60.3 68.9 77.7 52.2 99.9 86.5 98.6 0.999\n")
        ...     found = read_ijb_landmarks(file)
        ...     found.points[0, 0].tolist(), found.scores.tolist()
        ([46.1, 62.0], [0.999])
    """
    names, numbers = [], array("d")
    for line in lines_of(file):
        words = line.text.rsplit(maxsplit=_POINTS + 1)
        try:
            values = [float(word) for word in words[1:]]
        except ValueError:
            values = []
        if len(values) != _POINTS + 1 or not all(map(isfinite, values)):
            raise line.wrong("'image', five points 'x y' and a score")
        names.append(words[0].strip())
        numbers.extend(values)
    if not names:
        raise ValueError(f"{file} lists no faces")
    table = np.array(numbers, dtype=np.float64).reshape(-1, _POINTS + 1)
    return IjbLandmarks(tuple(names), table[:, :-1].reshape(-1, 5, 2), table[:, -1].copy())


def read_ijb_templates(file: str | os.PathLike[str]) -> IjbTemplates:
    r"""Read the templates of a gallery or of probes as NIST distributes them.

    That is ``ijbc_1N_gallery_G1.csv``, ``ijbc_1N_gallery_G2.csv``, ``ijbc_1N_probe_mixed.csv`` and
    others, S1 and S2 in IJB-B, ``enroll_templates.csv`` and ``verif_templates.csv`` of single
    tests. Their first line names the columns, of which ``TEMPLATE_ID``, ``SUBJECT_ID`` and
    ``FILENAME`` are needed; ``MEDIA_ID``, or else ``SIGHTING_ID``, is the medium.

    Args:
        file: the path.

    Raises:
        ValueError: a column is missing, a line is damaged, the file is empty or a template is of
            two persons (the file and the line are named).
        OSError: the file cannot be read.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder, "ijbc_1N_gallery_G1.csv")
        ...     _ = file.write_text(
        ...         "TEMPLATE_ID,SUBJECT_ID,FILENAME,SIGHTING_ID\n"
        ...         "7,1,img/3.jpg,4\n7,1,img/5.jpg,6\n"
        ...     )
        ...     found = read_ijb_templates(file)
        ...     found.ids, found.subjects, found.faces.names
        (array([7]), array([1]), ('img/3.jpg', 'img/5.jpg'))

    Reference:
        Maze et al., "IARPA Janus Benchmark – C" (2018), section 4.
    """
    needed = ("TEMPLATE_ID", "SUBJECT_ID", "FILENAME")
    names, templates, media = [], array("q"), array("q")
    subject_of: dict[int, int] = {}
    medium = None
    for where, row in csv_rows(file, needed):
        medium = next((name for name in ("MEDIA_ID", "SIGHTING_ID") if name in row), None)
        for name in ("TEMPLATE_ID", "SUBJECT_ID", *([medium] if medium else [])):
            if not is_number(row[name].strip()):
                raise ValueError(f"{where}: {name} must be a whole number, got {short(row[name])}")
        template, subject = int(row["TEMPLATE_ID"]), int(row["SUBJECT_ID"])
        if subject_of.setdefault(template, subject) != subject:
            raise ValueError(
                f"{where}: template {template} is of subject {subject} here and of "
                f"{subject_of[template]} before"
            )
        names.append(row["FILENAME"])
        templates.append(template)
        if medium:
            media.append(int(row[medium]))
    if not names:
        raise ValueError(f"{file} lists no faces")
    ids = sorted(subject_of)
    return IjbTemplates(
        np.array(ids, dtype=np.int64),
        np.array([subject_of[template] for template in ids], dtype=np.int64),
        IjbFaces(
            tuple(names),
            np.array(templates, dtype=np.int64),
            np.array(media, dtype=np.int64) if medium else None,
        ),
    )
