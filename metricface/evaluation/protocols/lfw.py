"""LFW's lists: pairs to verify, and the people of each fold to train on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from metricface.evaluation.protocols.lines import Line, is_number, lines_of, short
from metricface.evaluation.protocols.named_pairs import NamedPairs
from metricface.given import as_count


@dataclass(frozen=True)
class LfwPeople:
    """The people of each fold and how many images there are of each."""

    names: tuple[str, ...]
    """Each person, in the order of the file."""
    images: tuple[int, ...]
    """How many images there are of each."""
    fold: tuple[int, ...]
    """The fold of each, from 0."""
    folds: int
    """Number of folds: ten in ``people.txt``, one in the lists of view 1."""

    def images_without(
        self, fold: int | None = None, *, suffix: str = ".jpg"
    ) -> tuple[list[str], list[str]]:
        """Images to train on: those of everybody who is not in a fold.

        Args:
            fold: which to leave out, from 0; None for nobody.
            suffix: what the images' names end in.

        Returns:
            The name of each image, and of the person it shows.

        Raises:
            ValueError: there is no such fold.

        Example:
            >>> LfwPeople(("Anna", "Ben"), (1, 2), (0, 1), 2).images_without(0)
            (['Ben/Ben_0001.jpg', 'Ben/Ben_0002.jpg'], ['Ben', 'Ben'])
        """
        if fold is not None and as_count("fold", fold, 0) >= self.folds:
            raise ValueError(f"fold must be below {self.folds}, got {fold}")
        shown = [
            (image_name(person, number, suffix), person)
            for person, count, own in zip(self.names, self.images, self.fold, strict=True)
            if own != fold
            for number in range(1, count + 1)
        ]
        return [image for image, _ in shown], [person for _, person in shown]


def read_lfw_pairs(file: str | os.PathLike[str], *, suffix: str = ".jpg") -> NamedPairs:
    r"""Read LFW's ``pairs.txt``.

    The first line holds the folds and the number of pairs of each kind in one (``10 300``), or
    that number alone. A line of three, ``name i j``, is a genuine pair; one of four,
    ``name i other j``, an impostor pair. Images are named as LFW's files,
    ``name/name_0001.jpg``.

    Args:
        file: the path.
        suffix: what the names end in.

    Raises:
        ValueError: the file is cut off or a line is damaged (the file and the line are named).
        OSError: the file cannot be read.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder, "pairs.txt")
        ...     _ = file.write_text("1\t1\nAnna\t1\t4\nAnna\t1\tBen\t2\n")
        ...     read_lfw_pairs(file).second
        ('Anna/Anna_0004.jpg', 'Ben/Ben_0002.jpg')

    Reference:
        Huang et al., "Labeled Faces in the Wild" (2007), section 4.
    """
    lines = lines_of(file)
    first = next(lines, Line(f"{file}, line 1", ""))
    head = first.text.split()
    if len(head) not in (1, 2) or not all(is_number(word) for word in head):
        raise first.wrong("the folds and pairs per fold")
    folds, each = (1, int(head[0])) if len(head) == 1 else (int(head[0]), int(head[1]))
    listed = [_pair(line, suffix) for line in lines]
    if folds < 1 or len(listed) != 2 * folds * each:
        raise ValueError(
            f"{file} should hold {folds} × 2 × {each} pairs but holds {len(listed)}: "
            "it is cut off or damaged"
        )
    return NamedPairs.collected(file, listed, folds)


def read_lfw_people(file: str | os.PathLike[str]) -> LfwPeople:
    r"""Read LFW's ``people.txt``, or ``peopleDevTrain.txt`` and ``peopleDevTest.txt``.

    The first holds the number of folds, then of each fold the number of its people and a line
    ``name images`` for each of them. The other two are one fold without the first line. In the
    unrestricted protocol a network that is tested on a fold of ``pairs.txt`` learns from any
    images of the people of the other nine, and of nobody else.

    Args:
        file: the path.

    Raises:
        ValueError: the file is cut off, a line is damaged or somebody is listed twice (the file
            and the line are named).
        OSError: the file cannot be read.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder, "people.txt")
        ...     _ = file.write_text("2\n1\nAnna\t4\n2\nBen\t1\nCarl\t2\n")
        ...     read_lfw_people(file)
        LfwPeople(names=('Anna', 'Ben', 'Carl'), images=(4, 1, 2), fold=(0, 1, 1), folds=2)

    Reference:
        Huang et al., "Labeled Faces in the Wild" (2007), section 4.
    """
    lines = list(lines_of(file))
    head = lines[0] if lines else Line(f"{file}, line 1", "")
    if not is_number(head.text.strip()):
        raise head.wrong("the number of folds or of people")
    several = len(lines) > 1 and is_number(lines[1].text.strip())
    folds = int(head.text) if several else 1
    rest = iter(lines[several:])
    found: dict[str, tuple[int, int]] = {}
    for fold in range(folds):
        for line in _people(file, rest, fold):
            person, images = _person(line)
            if person in found:
                raise ValueError(f"{line.where}: {short(person)} is listed before")
            found[person] = images, fold
    for line in rest:
        raise ValueError(
            f"{line.where}: all {folds} folds are complete, but here is {short(line.text)}"
        )
    if not found:
        raise ValueError(f"{file} lists no people")
    counts, fold_of = zip(*found.values(), strict=True)
    return LfwPeople(tuple(found), counts, fold_of, folds)


def image_name(person: str, number: int, suffix: str) -> str:
    """The name of an image as LFW's files have it.

    Example:
        >>> image_name("Anna_Lee", 12, ".jpg")
        'Anna_Lee/Anna_Lee_0012.jpg'
    """
    return f"{person}/{person}_{number:04d}{suffix}"


def _pair(line: Line, suffix: str) -> tuple[str, str, bool]:
    words = _words(line)
    same = len(words) == 3
    if same:
        words = [words[0], words[1], words[0], words[2]]
    if len(words) != 4 or not (is_number(words[1]) and is_number(words[3])):
        raise line.wrong("'name i j' or 'name i other j'")
    one, i, other, j = words
    return image_name(one, int(i), suffix), image_name(other, int(j), suffix), same


def _people(file: str | os.PathLike[str], lines: Iterator[Line], fold: int) -> Iterator[Line]:
    """The lines of one fold, as many as its first line says."""
    head = next(lines, None)
    if head is None:
        raise ValueError(f"{file} ends before fold {fold}: it is cut off")
    if not is_number(head.text.strip()):
        raise head.wrong(f"the number of people of fold {fold}")
    count = int(head.text)
    for number in range(count):
        line = next(lines, None)
        if line is None:
            raise ValueError(f"{file} ends after {number} of {count} people of fold {fold}")
        yield line


def _person(line: Line) -> tuple[str, int]:
    words = _words(line)
    if len(words) != 2 or not is_number(words[1]):
        raise line.wrong("'name images'")
    return words[0], int(words[1])


def _words(line: Line) -> list[str]:
    """What tabs part, or spaces where there are none."""
    words = line.text.split("\t") if "\t" in line.text else line.text.split()
    return [word.strip() for word in words]
