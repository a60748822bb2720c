"""Encoded images, each with an identity, that are decoded when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from torch import Tensor
from torch.utils.data import Dataset

from metricface.data.images.identity_labels import check_labels
from metricface.data.images.image_set import ImageSet, scaled
from metricface.data.images.selection import Indices, selected
from metricface.data.pixels.decoding import Encoded, read_image, require_pillow
from metricface.data.pixels.many_files import Broken, readable
from metricface.data.pixels.resampling import check_size

if TYPE_CHECKING:
    from typing_extensions import Self

Transform: TypeAlias = Callable[[Tensor], Tensor]
"""Changes one image, ``[1 or 3, H, W]``."""


class EncodedArray(Protocol):
    """Encoded images by the million: where each lies, kept in arrays."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Encoded: ...

    def take(self, indices: Indices) -> Self:
        """The chosen ones, in the order given."""


class EncodedImages(Dataset[tuple[Tensor, int]]):
    """What :class:`ImageFiles` and :class:`ImageRecords` have in common.

    Args:
        stored: ``N`` encoded images.
        labels: int64 ``[N]``, each in ``0 … C-1``.
        names: the ``C`` names.
        size: height and width to stretch the images to; ``None`` leaves them.
        colour: red, green, blue rather than grey.
        transform: changes each image when it is asked for.
    """

    _kind = "encoded"

    def __init__(
        self,
        stored: EncodedArray,
        labels: npt.NDArray[np.int64],
        names: tuple[str, ...],
        *,
        size: tuple[int, int] | None,
        colour: bool,
        transform: Transform | None = None,
    ) -> None:
        require_pillow()
        check_size(size)
        check_labels(labels, names, len(stored))
        self._stored = stored
        self.labels, self.names, self.size, self.colour = labels, names, size, colour
        if transform is not None and not callable(transform):
            raise TypeError(f"transform must be a function of an image, got {transform!r}")
        self.transform = transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Image ``index`` as float32 ``[1 or 3, H, W]`` in 0 … 1, and its identity."""
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[Tensor, int]]:
        """The items of a batch; a DataLoader asks for them this way."""
        chosen = selected(indices)
        places = [self._stored[int(index)] for index in chosen]
        pixels = [read_image(place, size=self.size, colour=self.colour) for place in places]
        labels = self.labels[chosen].tolist()
        if self.transform is not None:
            images = (scaled(image[None])[0] for image in pixels)
            return list(zip(map(self.transform, images), labels, strict=True))
        for image, place in zip(pixels, places, strict=True):
            _check_same_size(image, place, pixels[0], places[0])
        return list(zip(scaled(np.stack(pixels)).unbind(), labels, strict=True)) if pixels else []

    def __repr__(self) -> str:
        kind = "colour image" if self.colour else "image"
        size = f" of {self.size[0]} x {self.size[1]}" if self.size else ""
        identities = len(np.unique(self.labels))
        noun = f"{kind} {self._kind}"
        return f"{type(self).__name__}({len(self)} {noun}{size}, {identities} identities)"

    def subset(self, indices: Indices) -> Self:
        """The chosen images, in the order given; labels and names stay as they are.

        Args:
            indices: integers ``[M]`` in ``-N … N-1``, repeats allowed.

        Raises:
            TypeError: the indices are not integers.
            ValueError: the indices are not one-dimensional.
            IndexError: an index beyond the set.

        Example:
            >>> from metricface.data import ImageFiles
            >>> files = ImageFiles(["a.png", "b.png"], np.array([0, 1]), ("anna", "ben"))
            >>> files.subset([1]).labels
            array([1])
        """
        chosen = selected(indices)
        return type(self)(
            self._stored.take(chosen),
            self.labels[chosen],
            self.names,
            size=self.size,
            colour=self.colour,
            transform=self.transform,
        )

    def load(
        self, *, broken: Broken = "error", workers: int = 0, progress: bool = False
    ) -> ImageSet:
        """All images decoded into memory, as uint8.

        Args:
            broken: what to do with files that are no readable images: ``"error"`` raises once all
                files have been tried, with their number and the first of them; ``"skip"`` leaves
                them out, with a warning of the same content.
            workers: processes that decode; 0 decodes here.
            progress: show a bar; needs tqdm.

        Returns:
            The images in the order of the files; names stay as they are.

        Raises:
            ValueError: broken files, images of different sizes, or no image at all.
            OSError: a file cannot be read.
            ImportError: a bar is wanted and tqdm is missing.

        Example:
            >>> import tempfile
            >>> from pathlib import Path
            >>> from metricface.data import ImageFiles
            >>> file = Path(tempfile.mkdtemp()) / "two.pgm"
            >>> length = file.write_bytes(b"P5 2 1 255 " + bytes([7, 9]))
            >>> ImageFiles([file], np.array([0]), ("anna",)).load().images
            array([[[7, 9]]], dtype=uint8)
        """
        images = np.empty((0, 0, 0), np.uint8)
        if self.transform is not None:
            raise ValueError(
                "load() keeps pixels as they are decoded, without transform=, which changes images "
                "when they are asked for: leave one of the two out"
            )
        kept: list[int] = []
        for i, image in self._readable(broken=broken, workers=workers, progress=progress):
            if kept:
                _check_same_size(image, self._stored[i], images[0], self._stored[kept[0]])
            else:
                images = np.empty((len(self), *image.shape), np.uint8)
            images[len(kept)] = image
            kept.append(i)
        if not kept:
            raise ValueError(f"none of {len(self)} files is an image")
        return ImageSet(images[: len(kept)], self.labels[kept], self.names)

    def checked(
        self, *, broken: Broken = "error", workers: int = 0, progress: bool = False
    ) -> Self:
        """The images that can be decoded, found by trying all of them.

        For a set that does not fit in memory, before a broken file can end a training.

        Args:
            broken: as in :meth:`load`.
            workers: processes that decode; 0 decodes here.
            progress: show a bar; needs tqdm.

        Raises:
            ValueError: broken files.
            OSError: a file cannot be read.
            ImportError: a bar is wanted and tqdm is missing.

        Example:
            >>> import tempfile
            >>> from pathlib import Path
            >>> from metricface.data import ImageFiles
            >>> file = Path(tempfile.mkdtemp()) / "empty.jpg"
            >>> file.touch()
            >>> ImageFiles([file], np.array([0]), ("anna",)).checked()  # doctest: +ELLIPSIS
            Traceback (most recent call last):
            ...
            ValueError: 1 of 1 files broken: ...empty.jpg is no readable image: ...
        """
        kept = []
        for i, _ in self._readable(broken=broken, workers=workers, progress=progress):
            kept.append(i)
        return self.subset(kept)

    def _readable(
        self, *, broken: Broken, workers: int, progress: bool
    ) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
        return readable(
            self._stored,
            size=self.size,
            colour=self.colour,
            broken=broken,
            workers=workers,
            progress=progress,
        )


def _check_same_size(
    image: npt.NDArray[np.uint8],
    place: Encoded,
    first: npt.NDArray[np.uint8],
    first_place: Encoded,
) -> None:
    if image.shape != first.shape:
        raise ValueError(
            f"{place} has {image.shape[0]} x {image.shape[1]} pixels but {first_place} has "
            f"{first.shape[0]} x {first.shape[1]}: give size=(height, width)"
        )
