"""The face sets that scikit-learn fetches: Labeled Faces in the Wild, and the Olivetti faces."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from metricface.data.images.image_set import ImageSet
from metricface.data.pixels.decoding import require_pillow
from metricface.data.pixels.resampling import check_size, resampled

_BLOCK = 256  # images converted to bytes at a time


def lfw(
    *,
    size: tuple[int, int] | None = None,
    colour: bool = False,
    crop: bool = True,
    min_images: int = 1,
    folder: str | os.PathLike[str] | None = None,
    download: bool = True,
) -> ImageSet:
    """Labeled Faces in the Wild, funnelled: 13,233 images of 5,749 people.

    They come from scikit-learn's folder, or are downloaded into it (about 200 MB). scikit-learn
    holds the images as floats, four times the result, and keeps what it decoded beside them. Its
    grey is the mean of red, green and blue. 4,069 people have one image only.

    Args:
        size: height and width to resample to by area averaging; ``None`` leaves them.
        colour: red, green, blue rather than grey.
        crop: only the face, 125 x 94 pixels; otherwise all 250 x 250.
        min_images: people with fewer are left out; at least 1.
        folder: of scikit-learn's data; ``None`` takes ``$SCIKIT_LEARN_DATA``, or else
            ``~/scikit_learn_data``.
        download: whether to ask the network for what is not in the folder.

    Returns:
        The images in identity order; people are in the order of their names.

    Raises:
        ImportError: scikit-learn or Pillow is not installed.
        FileNotFoundError: nothing in the folder, and nothing downloaded.
        ValueError: a size below 1, or no person with so many images.

    Example:
        >>> people = lfw(size=(112, 96), min_images=4)  # doctest: +SKIP

    Reference:
        Huang, Ramesh, Berg and Learned-Miller, "Labeled Faces in the Wild", University of
        Massachusetts, Amherst, technical report 07-49, 2007.
    """
    require_pillow()
    check_size(size)
    if min_images < 1:
        raise ValueError(f"min_images must be at least 1, got {min_images}")
    found = _fetched(
        "lfw",
        "fetch_lfw_people",
        folder,
        download=download,
        resize=None,
        color=colour,
        min_faces_per_person=min_images,
        **({} if crop else {"slice_": None}),
    )
    return _image_set(found, tuple(str(name) for name in found.target_names), size)


def olivetti(
    *,
    size: tuple[int, int] | None = None,
    folder: str | os.PathLike[str] | None = None,
    download: bool = True,
) -> ImageSet:
    """The Olivetti faces: 40 people, 10 grey images of each, 64 x 64 pixels.

    They are those of :func:`orl_faces`, cut and shrunk by their publisher. They come from
    scikit-learn's folder, or are downloaded into it. scikit-learn stretches them so that the
    darkest pixel of all is black and the lightest white.

    Args:
        size: height and width to resample to by area averaging; ``None`` leaves them.
        folder: of scikit-learn's data; ``None`` takes ``$SCIKIT_LEARN_DATA``, or else
            ``~/scikit_learn_data``.
        download: whether to ask the network for what is not in the folder.

    Returns:
        The images in identity order, named by their number.

    Raises:
        ImportError: scikit-learn is not installed.
        FileNotFoundError: nothing in the folder, and nothing downloaded.
        ValueError: a size below 1.

    Example:
        >>> people = olivetti()  # doctest: +SKIP

    Reference:
        Samaria and Harter, "Parameterisation of a stochastic model for human face
        identification", WACV 1994.
    """
    check_size(size)
    found = _fetched("olivetti", "fetch_olivetti_faces", folder, download=download)
    names = tuple(str(person) for person in range(int(found.target.max()) + 1))
    return _image_set(found, names, size)


def _fetched(
    name: str,
    loader: str,
    folder: str | os.PathLike[str] | None,
    *,
    download: bool,
    **options: Any,
) -> Any:
    try:
        from sklearn import datasets
    except ImportError as error:
        raise ImportError(
            f"{name} needs scikit-learn: pip install 'metricface[evaluation]'", name="sklearn"
        ) from error
    fetch: Callable[..., Any] = getattr(datasets, loader)
    try:
        return fetch(data_home=folder, download_if_missing=download, **options)
    except OSError as error:  # errors of the network are among them
        tried = "could not be downloaded" if download else "may not be downloaded (download=False)"
        raise FileNotFoundError(
            f"the images are not all in {datasets.get_data_home(folder)} and {tried}: call "
            f"sklearn.datasets.{loader}() where there is a network, and copy that folder here "
            f"({error})"
        ) from error


def _image_set(found: Any, names: tuple[str, ...], size: tuple[int, int] | None) -> ImageSet:
    """scikit-learn's floats 0 … 1 turned back into bytes, in identity order."""
    order = np.argsort(found.target, kind="stable")
    pixels = np.empty(found.images.shape, np.uint8)
    for start in range(0, len(order), _BLOCK):
        block = order[start : start + _BLOCK]
        pixels[start : start + _BLOCK] = np.rint(255 * found.images[block])
    labels: npt.NDArray[np.int64] = found.target[order].astype(np.int64)
    return ImageSet(pixels if size is None else resampled(pixels, size), labels, names)
