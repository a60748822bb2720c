"""What several commands are given alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metricface.cli.frames import ENDINGS, Columns
from metricface.distances import Cosine, Distance, Euclidean, SquaredEuclidean

DISTANCES: dict[str, Distance] = {
    "squared": SquaredEuclidean(),
    "euclidean": Euclidean(),
    "cosine": Cosine(),
}

KINDS = (
    "N rows of D floating-point numbers. .npy or .pt: one array [N, D]. .npz, or .pt with a dict: "
    "embeddings [N, D] and, if they are not in files of their own, labels [N] and names [N]. "
    "Tables, .csv, .tsv or .parquet: a row for each sample, with a column label, perhaps one name, "
    "and a column for each dimension; in .parquet also one column that holds a list of D numbers "
    "in each row."
)

Embeddings = Annotated[Path, typer.Argument(help=KINDS)]
Dimensions = Annotated[
    str | None,
    typer.Option(
        help="Of tables: the dimensions, as e0-e127 or x,y,z, or the one column of lists; all "
        "other columns if not given."
    ),
]
LabelColumn = Annotated[str, typer.Option(help="Of tables: column of the identities.")]
NameColumn = Annotated[str, typer.Option(help="Of tables: column of the images' names.")]
Labels = Annotated[
    Path | None,
    typer.Option(
        help="Labels, if they are in a file of their own: [N] integers or strings in .npy or .pt, "
        "or a file of the other kinds."
    ),
]
Measure = Annotated[str, typer.Option(help="squared, euclidean or cosine, of unit vectors.")]
Bar = Annotated[bool, typer.Option(help="Show a progress bar.")]


def columns_meant(label: str, name: str, dimensions: str | None, *files: Path | None) -> Columns:
    """What ``--label-column``, ``--name-column`` and ``--columns`` say of the files.

    Args:
        label: the identity.
        name: the name of the image.
        dimensions: the dimensions.
        *files: what is to be read; None is passed over.

    Raises:
        ValueError: an option of tables was given, and none of the files is one.

    Example:
        >>> columns_meant("label", "path", None, Path("x.npy"), Path("labels.csv"))
        Columns(label='label', name='path', dimensions=None)
    """
    usual, table = Columns(), any(file and file.suffix.lower() in ENDINGS for file in files)
    for option, idle in (("label", label == usual.label), ("name", name == usual.name)):
        if not (idle or table):
            raise ValueError(
                f"--{option}-column is for .csv, .tsv and .parquet, and no file given is one"
            )
    return Columns(label, name, dimensions)


def distance_named(name: str) -> Distance:
    """The distance that ``--distance`` names.

    Raises:
        ValueError: another name.

    Example:
        >>> distance_named("cosine")
        Cosine(normalize=True)
    """
    if name not in DISTANCES:
        raise ValueError(f"--distance must be {', '.join(DISTANCES)}, got {name!r}")
    return DISTANCES[name]
