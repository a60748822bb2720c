"""``metricface align``: from a tree of photographs to the same tree of aligned crops."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from metricface.cli.app import app
from metricface.cli.arguments import Bar
from metricface.cli.reports import print_report
from metricface.data import MTCNN, align_folder, read_landmarks


@app.command()
def align(
    photographs: Annotated[Path, typer.Argument(help="A folder of images, at any depth.")],
    out: Annotated[
        Path,
        typer.Argument(
            help="The folder of the crops: the same tree, as .png, and faces.csv, which lists "
            "every photograph with its box, score, five points and transform, or why it has no "
            "crop. A run that was killed goes on where it was; a later one crops what is new."
        ),
    ],
    landmarks: Annotated[
        Path | None,
        typer.Option(
            help="Instead of looking for faces: a CSV with the columns path (within PHOTOGRAPHS) "
            "and x1, y1 … x5, y5: left eye, right eye, nose, left and right corner of the mouth, "
            "as the viewer sees them."
        ),
    ] = None,
    template: Annotated[
        str, typer.Option(help="arcface (112 x 112) or sphereface (112 x 96).")
    ] = "arcface",
    face: Annotated[
        str, typer.Option(help="Of several faces: the largest, or the most central.")
    ] = "largest",
    min_face: Annotated[
        int, typer.Option(help="Least width of a face in pixels: larger is sooner.")
    ] = 20,
    antialias: Annotated[  # noqa: FBT002
        bool, typer.Option(help="Average where a face is much larger than its crop.")
    ] = False,
    device: Annotated[str, typer.Option(help="Where faces are looked for: cpu, cuda, …")] = "cpu",
    workers: Annotated[int, typer.Option(help="Processes; 0 works in this one.")] = 0,
    progress: Bar = True,  # noqa: FBT002
) -> None:
    """Find the faces in photographs (MTCNN) and crop them so that all lie alike."""
    detector = MTCNN(min_face=min_face, device=device) if landmarks is None else None
    done = align_folder(
        photographs,
        out,
        detector=detector,
        landmarks=None if landmarks is None else read_landmarks(landmarks),
        template=template,
        face=face,  # type: ignore[arg-type]
        antialias=antialias,
        detected_by=None if detector is None else f"MTCNN of faces from {min_face} pixels",
        workers=workers,
        progress=progress,
    )
    said = {name.replace("_", " "): number for name, number in asdict(done).items()}
    print_report(said | {"listed in": str(out / "faces.csv")})
