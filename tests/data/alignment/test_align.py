from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from metricface.data import CropTemplate, align, orl_faces, similarity_transform
from metricface.data.alignment.crop import warp

TEMPLATE = CropTemplate.named("arcface").places


def smooth(seed: int, height: int = 90, width: int = 120) -> torch.Tensor:
    """A picture without fine detail, of which bilinear interpolation loses little."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 9, 12, generator=generator)
    size = (height, width)
    fine = torch.nn.functional.interpolate(coarse, size, mode="bicubic", align_corners=True)
    return fine[0].clamp(0, 1)


def matrix(angle: float, scale: float, x: float, y: float) -> npt.NDArray[np.float64]:
    a, b = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[a, -b, x], [b, a, y]])


def test_a_known_transform_of_a_face_is_undone_within_half_a_pixel() -> None:
    """A face is turned, scaled and shifted into a photograph, and found again by correlation."""
    faces = orl_faces()
    own = np.array([[30.0, 45], [62, 45], [46, 65], [34, 85], [58, 85]])  # anywhere in the face
    to_face = CropTemplate(tuple(map(tuple, own)), (112, 92))
    for number, (angle, scale) in enumerate([(0.4, 1.7), (-1.1, 1.3), (2.5, 2.0), (0.0, 1.5)]):
        face = faces[number * 90][0]
        there = matrix(angle, scale, 150.0 + 9.3 * number, 160.4)
        photograph = warp(face, there, (420, 440), fill=0.5)
        landmarks = own @ there[:, :2].T + there[:, 2]
        found = align([photograph], landmarks[None], template=to_face, colour=False).images[0]
        off = displacement(face[0].numpy(), found[0].numpy())
        assert np.abs(off).max() < 0.5


def displacement(x: npt.NDArray[Any], y: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """How far y is shifted against x, by least squares of its gradient, in the inner part."""
    inner = (slice(15, -15), slice(15, -15))
    rise = np.stack([g[inner].ravel() for g in np.gradient(x.astype(float))], 1)
    shift: npt.NDArray[np.float64] = np.linalg.lstsq(rise, (x - y)[inner].ravel(), rcond=None)[0]
    return shift


def test_the_displacement_is_measured() -> None:
    face = orl_faces()[5][0]
    shifted = warp(face, matrix(0.0, 1.0, 0.8, 0.0), (112, 92))
    assert displacement(face[0].numpy(), shifted[0].numpy()) == pytest.approx([0, 0.8], abs=0.15)


def test_landmarks_come_to_lie_where_the_template_wants_them() -> None:
    """A dot at each landmark of the photograph is a dot at each place of the crop."""
    there = matrix(0.3, 2.0, 20.0, 40.0)
    landmarks = TEMPLATE @ there[:, :2].T + there[:, 2]
    photograph = np.zeros((300, 300), dtype=np.uint8)
    for x, y in landmarks.round().astype(int):
        photograph[y - 1 : y + 2, x - 1 : x + 2] = 255
    crop = align([photograph], landmarks[None], colour=False).images[0, 0]
    for x, y in TEMPLATE.round().astype(int):
        assert crop[y - 1 : y + 2, x - 1 : x + 2].max() > 0.5
    assert float(crop.sum()) < 5 * 9


def test_pixels_are_counted_from_the_centre_of_the_first() -> None:
    image = smooth(0)
    still = warp(image, matrix(0.0, 1.0, 0.0, 0.0), (90, 120))
    torch.testing.assert_close(still, image, rtol=0, atol=1e-5)
    doubled = warp(image, matrix(0.0, 2.0, 0.0, 0.0), (90, 120))
    torch.testing.assert_close(doubled[:, ::2, ::2], image[:, :45, :60], rtol=0, atol=1e-4)


def test_what_lies_beyond_is_filled() -> None:
    white = torch.ones(1, 20, 20)
    crop = warp(white, matrix(0.0, 1.0, 10.0, 0.0), (20, 20), fill=0.25)
    assert crop[0, 10, :9].tolist() == pytest.approx([0.25] * 9)
    assert crop[0, 10, 11:].tolist() == pytest.approx([1.0] * 9)


def test_a_much_larger_face_is_averaged_if_wanted() -> None:
    """A board of single black and white pixels is grey from afar."""
    y, x = torch.meshgrid(torch.arange(240), torch.arange(240), indexing="ij")
    board = ((x + y) % 2).float()[None]
    small = matrix(0.0, 0.25, 0.0, 0.0)
    rough = warp(board, small, (50, 50))
    even = warp(board, small, (50, 50), antialias=True)
    inner = (slice(None), slice(5, 45), slice(5, 45))
    assert float((even[inner] - 0.5).abs().max()) < 0.05
    assert float((rough[inner] - 0.5).abs().max()) > 0.4


def test_a_batch_is_each_alone_whatever_holds_it(tmp_path: Path) -> None:
    pixels = (smooth(1).permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    points = TEMPLATE * 0.6 + 8
    given: list[Any] = [pixels, torch.from_numpy(pixels).permute(2, 0, 1) / 255, pixels / 255.0]
    one = align([pixels], [points]).images
    for photograph in [*given, tmp_path / "a.png", str(tmp_path / "a.png")]:
        assert torch.equal(align([photograph], [points]).images, one)
    every = align(np.stack([pixels] * 3), [points, points + 3, points])
    assert torch.equal(every.images[[0, 2]], one.expand(2, -1, -1, -1))
    assert torch.equal(every.images[1:2], align([pixels], [points + 3]).images)
    assert every.rows.tolist() == [0, 1, 2]


def faces_at(*boxes: tuple[float, ...]) -> Any:
    """A detector that finds these, the points of each within its box."""

    def detector(pixels: npt.NDArray[np.uint8]) -> list[Any]:
        assert pixels.dtype == np.uint8
        assert pixels.shape[2] == 3
        return [(box, TEMPLATE / 112 * (box[2] - box[0]) + box[:2], 0.9) for box in boxes]

    return detector


def test_of_several_faces_the_largest_or_the_central_one() -> None:
    image = smooth(2, 200, 300)
    detector = faces_at((0, 0, 80, 80), (130, 80, 170, 120), (250, 10, 290, 50))
    for face, box in (("largest", (0, 0, 80, 80)), ("central", (130, 80, 170, 120))):
        found = align([image], detector=detector, face=face)  # type: ignore[arg-type]
        assert torch.equal(found.images, align([image], detector=faces_at(box)).images)


def test_a_face_may_be_cut_off() -> None:
    points = TEMPLATE - [30, 0]
    assert align([smooth(3)], [points]).images.shape == (1, 3, 112, 112)


def test_a_photograph_without_a_face_has_no_crop() -> None:
    image = smooth(3)
    none = align([image, image], detector=lambda pixels: [])
    assert none.images.shape == (0, 3, 112, 112)
    faces = iter([[], faces_at((10, 10, 60, 60))((image.permute(1, 2, 0) * 255).byte().numpy())])
    assert align([image, image], detector=lambda pixels: next(faces)).rows.tolist() == [1]


def test_transforms_are_those_of_the_landmarks() -> None:
    points = TEMPLATE * 0.7 + 5
    found = align([smooth(4)], [points], template="sphereface")
    other = CropTemplate.named("sphereface").places
    assert found.transforms[0].numpy() == pytest.approx(similarity_transform(points, other))
    assert found.images.shape == (1, 3, 112, 96)


@pytest.mark.parametrize(
    ("photographs", "given", "kind", "message"),
    [
        ([smooth(0)], {}, ValueError, "either landmarks or a detector"),
        ([smooth(0)], {"landmarks": TEMPLATE}, ValueError, r"must be \[1, 5, 2\], got \(5, 2\)"),
        ([smooth(0)], {"landmarks": TEMPLATE.reshape(1, 10)}, ValueError, "reshape"),
        (
            [smooth(0)] * 2,
            {"landmarks": [TEMPLATE, TEMPLATE * 0]},
            ValueError,
            "photograph 1: .*co",
        ),
        (
            [smooth(0)],
            {"landmarks": [TEMPLATE[[1, 0, 2, 4, 3]]]},
            ValueError,
            "photograph 0: .*mir",
        ),
        (
            [smooth(0)],
            {"landmarks": [TEMPLATE * [1, 2]]},
            ValueError,
            r"photograph 0: a landmark at \(41\.5\d*, 184\.\d*\) lies far outside of its 120 x 90",
        ),
        ([smooth(0) * 255], {"landmarks": [TEMPLATE]}, ValueError, "from 0 to 1"),
        ([smooth(0).permute(1, 2, 0)], {"landmarks": [TEMPLATE]}, ValueError, "1 or 3, H, W"),
        ([7], {"landmarks": [TEMPLATE]}, TypeError, "a file, an array or a tensor, got 7"),
        ([smooth(0)], {"landmarks": [TEMPLATE], "template": "facenet"}, ValueError, "sphereface"),
    ],
    ids=[
        *("neither", "one", "flat", "coincide", "mirrored", "outside", "255"),
        *("channels last", "seven", "template"),
    ],
)
def test_what_does_not_fit(
    photographs: Any, given: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        align(photographs, **given)
