"""Parts of a photograph in the sizes that the networks look at."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor
from torch.nn import functional as F

WINDOW = 12  # side of what the first network looks at
STRIDE = 2  # and how far apart its windows are
_STRIPE = 1 << 18  # pixels that it looks at in one go, which bounds its memory


def pyramid_sizes(
    height: int, width: int, *, min_face: float, factor: float
) -> list[tuple[int, int]]:
    """The sizes in which the first network sees a photograph, the largest first.

    In the largest, the smallest face to be found fills a window; each is ``factor`` times the one
    before, and in the last the shorter side is about one window.

    Args:
        height: of the photograph.
        width: of the photograph.
        min_face: side of the smallest face to be found, in pixels.
        factor: of each size to the one before.

    Returns:
        Heights and widths; none where the photograph is smaller than the smallest face.

    Example:
        >>> pyramid_sizes(60, 40, min_face=20, factor=0.5)
        [(36, 24), (18, 12)]
    """
    sizes = []
    scale = WINDOW / min_face
    while min(height, width) * scale > WINDOW - 1e-6:  # a face of min_face itself is in
        sizes.append((round(height * scale), round(width * scale)))
        scale *= factor
    return sizes


def stripes(picture: Tensor) -> Iterator[tuple[int, Tensor]]:
    """A picture in stripes of rows that together have the windows of the whole, each once.

    Args:
        picture: ``[C, H, W]``.

    Yields:
        The number of the first row of windows in a stripe, and the stripe.

    Example:
        >>> import torch
        >>> [(row, tuple(part.shape)) for row, part in stripes(torch.zeros(3, 60, 10000))]
        [(0, (3, 26, 10000)), (8, (3, 26, 10000)), (16, (3, 26, 10000)), (24, (3, 12, 10000))]
    """
    height, width = picture.shape[1:]
    rows = -(-(height - WINDOW) // STRIDE) + 1
    step = max(1, (_STRIPE // width - WINDOW) // STRIDE + 1)
    for row in range(0, rows, step):
        yield row, picture[:, STRIDE * row : STRIDE * (row + step - 1) + WINDOW]


def resized(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """A picture in another size; each pixel is the mean of those it covers, wholly or in part.

    Args:
        picture: ``[C, H, W]``.
        size: height and width.

    Example:
        >>> import torch
        >>> resized(torch.tensor([[[1.0, 3.0], [5.0, 7.0]]]), (1, 2))
        tensor([[[3., 5.]]])
    """
    return F.interpolate(picture[None], size=size, mode="area")[0]


def cut(picture: Tensor, boxes: Tensor, side: int) -> Tensor:
    """Parts of a picture as squares of one size; what lies outside the picture is black.

    Args:
        picture: ``[C, H, W]``.
        boxes: ``[N, 4]``, left, top, right and bottom edges, whole numbers; each has a part in the
            picture.
        side: of the squares.

    Returns:
        ``[N, C, side, side]``.

    Example:
        >>> import torch
        >>> picture = torch.arange(4.0).reshape(1, 2, 2)
        >>> cut(picture, torch.tensor([[1, 0, 3, 2]]), 2)
        tensor([[[[1., 0.],
                  [3., 0.]]]])
    """
    height, width = picture.shape[1:]
    parts = picture.new_empty(len(boxes), len(picture), side, side)
    for part, (left, top, right, bottom) in zip(parts, boxes.int().tolist(), strict=True):
        inside = picture[:, max(top, 0) : bottom, max(left, 0) : right]
        edges = (-left, right - width, -top, bottom - height)
        beyond = [max(edge, 0) for edge in edges]
        part.copy_(resized(F.pad(inside, beyond) if any(beyond) else inside, (side, side)))
    return parts
