"""MTCNN, three small networks in a row that find faces and five points of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from metricface.data.detection.boxes import moved, squared, strongest
from metricface.data.detection.networks import Network
from metricface.data.detection.photographs import Photograph, as_picture
from metricface.data.detection.weights import trained_networks
from metricface.data.detection.windows import (
    STRIDE,
    WINDOW,
    cut,
    pyramid_sizes,
    resized,
    stripes,
)
from metricface.given import arrived, as_number, as_share

_AT_ONCE = 64  # windows that a network looks at in one go, which bounds its memory


class Detection(NamedTuple):
    """A face that was found.

    Coordinates are in pixels, ``x`` to the right and ``y`` down, and the centre of the pixel in
    the top left corner is (0, 0).

    Attributes:
        box: left, top, right and bottom edge; they may lie outside the photograph.
        points: float64 ``[5, 2]`` of ``(x, y)``: the eyes, the nose and the corners of the mouth,
            of eyes and corners the one further left in the photograph first.
        score: how sure it is, from 0 to 1.
    """

    box: tuple[float, float, float, float]
    points: npt.NDArray[np.float64]
    score: float


class MTCNN:
    r"""A detector of faces: called with a photograph, it gives the faces in it.

    Three networks work in a row. P-Net looks at all windows of 12 x 12 pixels of the photograph in
    many sizes, R-Net again at what is left at 24 x 24, and O-Net at 48 x 48. Each says whether a
    window holds a face and how far the edges of its box are off,

    .. math:: x' = x + r\,w, \qquad y' = y + r\,h

    for each edge, and O-Net where the five points are. Between them, boxes that overlap by more
    than a half (within a size) or 0.7 are reduced to the strongest, and made square. Outside the
    photograph everything is black.

    The same photograph gives the same faces each time; no random numbers are drawn. Grey is as
    good as colour. A face turned by more than about 30° in the plane of the photograph is often
    missed.

    Memory is at most 25 bytes for each pixel of a photograph in colour, 10 in grey, and 150
    MB. Time grows with the pixels divided by the square of ``min_face``, and with the faces.

    The weights are those of the authors, as they lie in the wheel of mtcnn 1.0.0 (MIT licence,
    copyright Iván de Paz Centeno), which is located but never imported, and needs no TensorFlow
    here.

    Args:
        min_face: side of the smallest face that is looked for, in pixels, at least 12; somewhat
            smaller ones may be found as well.
        thresholds: the least score with which a window passes each of the three networks.
        factor: of each size of the photograph to the one before. Closer to 1 is slower and misses
            less.
        device: where the networks run.

    Raises:
        ImportError: the weights are not installed: ``pip install 'metricface[faces]'``.
        FileNotFoundError: another release of mtcnn than 1.0.0 is installed.
        TypeError: a setting is no number.
        ValueError: a setting is out of its range, or a file of the weights is damaged.

    Example:
        >>> from metricface.data import orl_faces
        >>> photograph = np.pad(orl_faces().images[0], 60, mode="edge")
        >>> detect = MTCNN(min_face=40)
        >>> [face] = detect(photograph)
        >>> left_eye, right_eye, nose, left_corner, right_corner = face.points
        >>> float(right_eye[0] - left_eye[0]) // 10 * 10
        30.0

    Reference:
        Zhang, Zhang, Li and Qiao, "Joint face detection and alignment using multitask cascaded
        convolutional networks", IEEE Signal Processing Letters 2016.
    """

    def __init__(
        self,
        *,
        min_face: float = 20,
        thresholds: Sequence[float] = (0.6, 0.7, 0.7),
        factor: float = 0.709,
        device: torch.device | str = "cpu",
    ) -> None:
        self.min_face = as_number("min_face", min_face)
        if not WINDOW <= self.min_face < float("inf"):
            raise ValueError(f"min_face must be at least {WINDOW} and finite, got {min_face}")
        if not isinstance(thresholds, Sequence) or len(thresholds) != 3:
            raise ValueError(f"thresholds must be three, got {arrived(thresholds)}")
        self.thresholds = tuple(as_share("thresholds", least) for least in thresholds)
        self.factor = as_share("factor", factor)
        if not 0 < self.factor < 1:
            raise ValueError(f"factor must be above 0 and below 1, got {factor}")
        self.device = torch.device(device)
        self._networks = [trained.to(self.device) for trained in trained_networks()]

    def __repr__(self) -> str:
        return (
            f"MTCNN(min_face={self.min_face:g}, thresholds={self.thresholds}, "
            f"factor={self.factor:g}, device={str(self.device)!r})"
        )

    @torch.no_grad()
    def __call__(self, image: Photograph) -> list[Detection]:
        """The faces in a photograph, the surest first.

        Args:
            image: a uint8 array ``[H, W]`` or ``[H, W, 3]`` (red, green, blue), a tensor
                ``[1, H, W]`` or ``[3, H, W]`` of uint8 or of floats from 0 to 1, or the path of an
                image file.

        Returns:
            None or more; none where the photograph is smaller than ``min_face``.

        Raises:
            TypeError: the image is none of these.
            ValueError: another shape, NaN, or floats outside 0 to 1; no image in the file.
            OSError: the file cannot be read.
            ImportError: a path is given and Pillow is not installed.
        """
        with torch.autocast(self.device.type, enabled=False):
            picture = as_picture(image).to(self.device)
            boxes = self._proposed(picture)
            boxes = self._refined(picture, boxes)
            return self._described(picture, boxes)

    def _proposed(self, picture: Tensor) -> Tensor:
        """Squares that may hold a face, by P-Net."""
        height, width = picture.shape[1:]
        sizes = pyramid_sizes(height, width, min_face=self.min_face, factor=self.factor)
        # Overlaps are looked for among the windows themselves; only then are their edges moved.
        found = [self._windows(picture, size) for size in sizes]
        if not found:
            return torch.empty(0, 4, dtype=torch.float64, device="cpu")
        boxes, moves, scores = (torch.cat(parts) for parts in zip(*found, strict=True))
        best = strongest(boxes, scores, 0.7)
        return _usable(moved(boxes[best], moves[best]), picture)

    def _windows(self, picture: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
        """Windows of a photograph in one size that may hold a face, their moves and scores."""
        parts = []
        for row, stripe in stripes(resized(picture, size)):
            moves, scores = self._networks[0](_scaled(stripe[None]))
            y, x = (scores[0] >= self.thresholds[0]).nonzero(as_tuple=True)
            corner = torch.stack([x, y + row], 1) * STRIDE
            parts.append((corner, moves[0, :, y, x].T, scores[0, y, x]))
        corners, moves, scores = _together(parts)
        height, width = picture.shape[1:]
        zoom = corners.new_tensor([width / size[1], height / size[0]])
        boxes = torch.cat([corners * zoom, (corners + WINDOW) * zoom], 1)
        best = strongest(boxes, scores, 0.5)
        return boxes[best], moves[best], scores[best]

    def _refined(self, picture: Tensor, boxes: Tensor) -> Tensor:
        """Of these squares, those that still may hold a face, by R-Net."""
        moves, scores = _looked_at(self._networks[1], picture, boxes, 24)
        passed = scores >= self.thresholds[1]
        boxes, moves, scores = boxes[passed], moves[passed], scores[passed]
        best = strongest(boxes, scores, 0.7)
        return _usable(moved(boxes[best], moves[best]), picture)

    def _described(self, picture: Tensor, boxes: Tensor) -> list[Detection]:
        """Of these squares, those that hold a face, and where its points are, by O-Net."""
        moves, places, scores = _looked_at(self._networks[2], picture, boxes, 48)
        passed = scores >= self.thresholds[2]
        boxes, moves, places, scores = (values[passed] for values in (boxes, moves, places, scores))
        # The five x come first, then the five y, as shares of the square.
        shares = places.reshape(-1, 2, 5).transpose(1, 2)
        points = boxes[:, None, :2] + shares * (boxes[:, None, 2:] - boxes[:, None, :2])
        edges = moved(boxes, moves)
        best = strongest(edges, scores, 0.7, of="smaller")
        # An edge at 0 is half a pixel from the centre of the first pixel.
        found = zip(edges[best] - 0.5, points[best] - 0.5, scores[best], strict=True)
        return [_detection(*face) for face in found]


def _detection(box: Tensor, points: Tensor, score: Tensor) -> Detection:
    left, top, right, bottom = box.tolist()
    return Detection((left, top, right, bottom), points.numpy(), float(score))


def _looked_at(network: Network, picture: Tensor, boxes: Tensor, side: int) -> tuple[Tensor, ...]:
    """What a network answers to parts of a picture, on the processor."""
    # An empty part keeps the shapes of the answers where no box is left.
    parts = [boxes[i : i + _AT_ONCE] for i in range(0, max(len(boxes), 1), _AT_ONCE)]
    return _together([network(_scaled(cut(picture, part, side))) for part in parts])


def _together(parts: Sequence[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """What was said of parts of a picture, as one, on the processor, where boxes are handled."""
    return tuple(torch.cat(part).cpu().double() for part in zip(*parts, strict=True))


def _usable(boxes: Tensor, picture: Tensor) -> Tensor:
    """Squares of whole pixels, without those that have none of the picture."""
    boxes = squared(boxes)
    low, high = boxes[:, :2].clamp(min=0), boxes[:, 2:]
    ends = boxes.new_tensor(picture.shape[:0:-1])
    return boxes[(low < torch.minimum(high, ends)).all(1)]


def _scaled(pixels: Tensor) -> Tensor:
    """Pixels as the networks were trained on them; grey in all three colours."""
    return ((pixels - 127.5) / 128).expand(-1, 3, -1, -1)
