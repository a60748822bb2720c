"""Where the five landmarks of a face come to lie in its crop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from metricface.given import arrived

#: x and y of left eye, right eye, nose, left and right corner of the mouth, as the viewer sees
#: them: of ArcFace's 112 × 112, and 8 pixels further left of SphereFace's 112 × 96.
_ARCFACE = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)


@dataclass(frozen=True)
class CropTemplate:
    """A crop's size, and the places of the landmarks in it.

    Args:
        points: x and y of each landmark ``[5, 2]``, in pixels; the centre of the first pixel is
            (0, 0).
        size: height and width.

    Raises:
        ValueError: points of another shape, or that are not finite; a size below 1.

    Example:
        >>> CropTemplate.named("sphereface").size
        (112, 96)
    """

    points: tuple[tuple[float, float], ...]
    size: tuple[int, int]

    def __post_init__(self) -> None:
        """Check what is given."""
        places = np.asarray(self.points, dtype=np.float64)
        if places.shape != (5, 2) or not np.isfinite(places).all():
            raise ValueError(f"a template has 5 finite points (x, y), got {self.points!r}")
        if len(self.size) != 2 or min(self.size) < 1:
            raise ValueError(f"size must be height and width, each at least 1, got {self.size!r}")

    @property
    def places(self) -> npt.NDArray[np.float64]:
        """The points as an array ``[5, 2]``."""
        return np.asarray(self.points, dtype=np.float64)

    @classmethod
    def named(cls, name: str) -> CropTemplate:
        """``"arcface"``, 112 × 112, or ``"sphereface"``, 112 × 96."""
        if name == "arcface":
            return cls(_ARCFACE, (112, 112))
        if name == "sphereface":
            return cls(tuple((x - 8.0, y) for x, y in _ARCFACE), (112, 96))
        raise ValueError(f"template must be 'arcface' or 'sphereface', got {arrived(name)}")


Template: TypeAlias = "str | CropTemplate"
"""A template, or the name of one."""


def as_template(template: Template) -> CropTemplate:
    """A template by its name, or as it is.

    Example:
        >>> as_template("arcface").size
        (112, 112)
    """
    return template if isinstance(template, CropTemplate) else CropTemplate.named(template)
