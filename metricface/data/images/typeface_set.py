"""Characters in typefaces: images with two sides to hold out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from metricface.data.images.file_views import FileView, file_view
from metricface.data.images.image_set import ImageSet
from metricface.data.images.selection import Indices, selected


@dataclass(frozen=True, eq=False, repr=False)
class TypefaceSet(ImageSet):
    """Images of characters that also know their typeface; otherwise as :class:`ImageSet`.

    Args:
        images: uint8 ``[N, H, W]``.
        labels: the character, int64 ``[N]``.
        names: of the characters.
        typefaces: the number of each image's typeface, int64 ``[N]``.
        typeface_names: what the ``F`` typefaces are called.
        families: the number of each image's family of typefaces, int64 ``[N]``: weights and
            derivatives of one design. Splits by it have no relatives on two sides.

    Raises:
        ValueError: not as many typefaces or families as images, or a typeface without a name.

    Example:
        >>> one = np.array([0, 0])
        >>> both = TypefaceSet(np.zeros((2, 4, 4), np.uint8), one, ("A",), one, ("Sans",), one)
        >>> both.typeface_names[both.typefaces[1]]
        'Sans'
    """

    typefaces: npt.NDArray[np.int64]
    typeface_names: tuple[str, ...]
    families: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not len(self.typefaces) == len(self.families) == len(self.labels):
            raise ValueError(
                f"got {len(self.labels)} images but {len(self.typefaces)} typefaces and "
                f"{len(self.families)} families"
            )
        if len(self.typefaces) and int(self.typefaces.max()) >= len(self.typeface_names):
            raise ValueError(
                f"typefaces reach to {self.typefaces.max()}, with {len(self.typeface_names)} names"
            )

    def __repr__(self) -> str:
        count = len(np.unique(self.typefaces))
        return f"{super().__repr__()[:-1]}, {count} typefaces)".replace("Image", "Typeface", 1)

    def __reduce__(self) -> tuple[Any, ...]:
        view = file_view(self.images)
        others = (self.labels, self.names, self.typefaces, self.typeface_names, self.families)
        return _opened, (self.images if view is None else view, *others)

    def subset(self, indices: Indices) -> TypefaceSet:
        """As :meth:`ImageSet.subset`; the images are copied into memory."""
        chosen = selected(indices)
        return TypefaceSet(
            self.images[chosen],
            self.labels[chosen],
            self.names,
            self.typefaces[chosen],
            self.typeface_names,
            self.families[chosen],
        )


def _opened(images: npt.NDArray[np.uint8] | FileView, *others: Any) -> TypefaceSet:
    return TypefaceSet(images.opened() if isinstance(images, FileView) else images, *others)
