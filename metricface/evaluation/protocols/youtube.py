"""The list of YouTube Faces: pairs of videos in ten splits."""

from __future__ import annotations

import os

from metricface.evaluation.protocols.lines import Line, is_number, lines_of
from metricface.evaluation.protocols.named_pairs import NamedPairs


def read_ytf_pairs(file: str | os.PathLike[str]) -> NamedPairs:
    r"""Read ``splits.txt`` of YouTube Faces, or its ``splits_corrected.txt``.

    After a line of headings, each line is a pair of videos: the split, then in some copies the
    number of the pair, both videos (``Anna_Lee/3``) and twice whether they show the same person.
    Where the two verdicts differ the last one counts. Videos are templates: the embeddings of
    their frames are averaged by :func:`mean_templates`, with the folder of each frame, such as
    ``Anna_Lee/3``, as its template.

    Args:
        file: the path.

    Raises:
        ValueError: a line is damaged, or splits are not of one size and one after the other (the
            file and the line are named).
        OSError: the file cannot be read.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder, "splits.txt")
        ...     _ = file.write_text(
        ...         "split number, first name, second name, is same, is same\n"
        ...         "1, Anna/3, Anna/1, 1, 1\n2, Ben/0, Anna/3, 0, 0\n"
        ...     )
        ...     pairs = read_ytf_pairs(file)
        ...     pairs.first, pairs.second, pairs.same, pairs.folds
        (('Anna/3', 'Ben/0'), ('Anna/1', 'Anna/3'), (True, False), 2)

    Reference:
        Wolf, Hassner, Maoz, "Face Recognition in Unconstrained Videos with Matched Background
        Similarity" (2011), section 2.
    """
    lines = lines_of(file)
    head = next(lines, Line(f"{file}, line 1", ""))
    if "," not in head.text or is_number(head.text.split(",")[0].strip()):
        raise head.wrong("headings such as 'split number, first name, second name, is same'")
    sizes: list[int] = []
    listed = []
    for line in lines:
        split, pair = _pair(line)
        if split == len(sizes) + 1:
            sizes.append(0)
        if split != len(sizes):
            raise line.wrong(f"split {max(1, len(sizes))} or {len(sizes) + 1}")
        sizes[-1] += 1
        listed.append(pair)
    if len(set(sizes)) > 1:
        raise ValueError(
            f"{file} has splits of {sizes} pairs, which should be of one size: it is cut off or "
            "somebody has taken pairs out"
        )
    return NamedPairs.collected(file, listed, len(sizes))


def _pair(line: Line) -> tuple[int, tuple[str, str, bool]]:
    """The split of a pair, the names of both videos and the verdict."""
    words = [word.strip() for word in line.text.split(",")]
    complete = len(words) in (5, 6) and is_number(words[0]) and all(words)
    if not complete or words[-2] not in ("0", "1") or words[-1] not in ("0", "1"):
        raise line.wrong("'split, first video, second video, same, same'")
    return int(words[0]), (words[-4], words[-3], words[-1] == "1")
