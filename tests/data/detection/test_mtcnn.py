"""The faces that are found, against those that another program has found."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image

from metricface.data import MTCNN, Detection, ImageSet
from tests.data.detection.pictures import BORDER, Pixels, group, portrait
from tests.live_bytes import peak_mib

PUBLISHED = json.loads(Path(__file__).with_name("published.json").read_text())["photographs"]
HOPPER = Path(matplotlib.__file__).parent / "mpl-data" / "sample_data" / "grace_hopper.jpg"


@pytest.fixture(scope="module")
def detect() -> MTCNN:
    return MTCNN()


@pytest.fixture(scope="module")
def photographs(faces: ImageSet) -> dict[str, Pixels]:
    portraits = {name: portrait(faces.images[int(name[9:])]) for name in PUBLISHED if "t " in name}
    hopper = np.array(Image.open(HOPPER).convert("RGB"))
    return {**portraits, "group": group(faces.images), "grace hopper": hopper}


@pytest.fixture(scope="module")
def found(detect: MTCNN, photographs: dict[str, Pixels]) -> dict[str, list[Detection]]:
    return {name: detect(photograph) for name, photograph in photographs.items()}


def in_order(faces: list[Any], box: Any) -> list[Any]:
    return sorted(faces, key=lambda face: (box(face)[1] // 100, box(face)[0]))


def test_the_same_faces_are_found_as_by_facenet_pytorch(
    found: dict[str, list[Detection]],
) -> None:
    """To within a pixel for a face 70 pixels wide, one point with another.

    That program shifts by as much when a photograph is shifted by one pixel. It counts from the
    corner of the first pixel, where here its centre is (0, 0).
    """
    assert len(found) == len(PUBLISHED) == 22
    off, boxes_off = [], []
    for name, published in PUBLISHED.items():
        assert len(found[name]) == len(published) == (4 if name == "group" else 1)
        ours = in_order(found[name], lambda face: face.box)
        theirs = in_order(published, lambda face: face["box"])
        for own, other in zip(ours, theirs, strict=True):
            scale = 70 / (other["box"][2] - other["box"][0])
            off.append((own.points + 0.5 - other["points"]) * scale)
            boxes_off.append((np.array(own.box) + 0.5 - other["box"]) * scale)
            assert own.score == pytest.approx(other["score"], abs=0.02)
    assert np.sqrt(np.square(off).mean()) < 1.2
    assert np.abs(np.mean(off, axis=(0, 1))).max() < 1
    assert np.abs(off).max() < 5
    assert np.abs(np.mean(boxes_off, axis=0)).max() < 2
    assert np.abs(boxes_off).max() < 6


def test_a_point_of_each_kind_is_where_it_belongs(found: dict[str, list[Detection]]) -> None:
    for detections in found.values():
        for left, top, right, bottom in (face.box for face in detections):
            assert 0.6 < (right - left) / (bottom - top) < 1.1
        for face in detections:
            left, top, right, bottom = face.box
            x, y = ((face.points - (left, top)) / (right - left, bottom - top)).T
            eye, other_eye, nose, corner, other_corner = zip(x, y, strict=True)
            assert 0.05 < eye[0] < other_eye[0] < 0.95
            assert 0 < corner[0] < other_corner[0] < 1
            assert 0.25 < min(eye[1], other_eye[1]) < max(eye[1], other_eye[1]) < 0.55
            assert 0.45 < nose[1] < min(corner[1], other_corner[1]) < 0.9


def test_nearly_every_face_of_orl_is_found_once_and_in_its_place(faces: ImageSet) -> None:
    detect = MTCNN(min_face=40)
    missed = 0
    for image in faces.images[3::10]:
        detections = detect(portrait(image))
        missed += len(detections) != 1
        for face in detections:
            assert face.score > 0.9
            x, y = face.points[:2].mean(0) - BORDER
            assert 30 < x < 65  # of 92: between the eyes
            assert 30 < y < 70  # of 112
    assert missed <= 1


def test_a_face_is_found_where_the_photograph_ends(faces: ImageSet) -> None:
    detect = MTCNN(min_face=40)
    bare = detect(faces.images[0])
    bordered = detect(portrait(faces.images[0]))
    assert len(bare) == len(bordered) == 1
    np.testing.assert_allclose(bare[0].points, bordered[0].points - BORDER, atol=4)


def test_a_mirrored_photograph_has_the_mirrored_points(
    detect: MTCNN, photographs: dict[str, Pixels], found: dict[str, list[Detection]]
) -> None:
    """The centre of the first pixel is (0, 0), so that of the last is (width - 1, …)."""
    apart = []
    names = list(PUBLISHED)[:20]
    for name in names:
        photograph = photographs[name]
        [mirrored] = detect(photograph[:, ::-1])
        expected = found[name][0].points[[1, 0, 2, 4, 3]]
        expected[:, 0] = photograph.shape[1] - 1 - expected[:, 0]
        apart.append(mirrored.points - expected)
    assert np.abs(apart).max() < 5
    assert np.abs(np.mean(apart, axis=(0, 1))).max() < 1


def test_colours_are_red_green_blue(
    detect: MTCNN, photographs: dict[str, Pixels], found: dict[str, list[Detection]]
) -> None:
    hopper = photographs["grace hopper"]
    [from_file] = detect(HOPPER)
    [given] = found["grace hopper"]
    assert from_file.score == given.score
    np.testing.assert_array_equal(from_file.points, given.points)
    [planes] = detect(torch.from_numpy(np.moveaxis(hopper, 2, 0).copy()))
    np.testing.assert_array_equal(planes.points, given.points)


def test_grey_and_grey_in_three_colours_are_the_same(
    detect: MTCNN, photographs: dict[str, Pixels], found: dict[str, list[Detection]]
) -> None:
    photograph = photographs["portrait 5"]
    for kind in (np.stack([photograph] * 3, 2), torch.from_numpy(photograph)[None] / 255):
        [face] = detect(kind)
        np.testing.assert_allclose(face.points, found["portrait 5"][0].points, atol=3)


def test_a_face_far_below_the_smallest_is_not_looked_for(photographs: dict[str, Pixels]) -> None:
    near = MTCNN(min_face=150)(photographs["group"])
    assert len(near) == 2
    assert all(face.box[1] > 150 for face in near)


def test_a_photograph_smaller_than_the_smallest_face_has_none(detect: MTCNN) -> None:
    for shape in [(0, 0), (0, 50), (19, 400), (19, 19, 3), (20, 20), (1, 1)]:
        assert detect(np.zeros(shape, np.uint8)) == []
    assert MTCNN(min_face=12)(torch.zeros(3, 12, 12)) == []


def test_where_there_is_no_face_none_is_found(detect: MTCNN) -> None:
    ramp = np.add.outer(np.arange(200), np.arange(150)).astype(np.uint8)
    assert detect(ramp) == []
    noise = torch.randint(256, (3, 200, 150), generator=torch.Generator().manual_seed(0))
    assert detect(noise.to(torch.uint8)) == []


def test_a_large_photograph_is_looked_at_in_stripes() -> None:
    """All at once, the first layer alone would hold 80 MiB of it."""
    photograph = np.full((1024, 1024), 128, np.uint8)
    assert peak_mib(lambda: MTCNN(min_face=12)(photograph)) < 50


def test_what_surrounds_the_call_changes_nothing(
    detect: MTCNN, photographs: dict[str, Pixels], found: dict[str, list[Detection]]
) -> None:
    photograph, expected = photographs["portrait 5"], found["portrait 5"][0]
    before = torch.get_rng_state()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.autocast("cpu", torch.bfloat16), torch.device("meta"):
            again = MTCNN()
            faces = [*detect(photograph), *again(photograph)]
    finally:
        torch.set_default_dtype(torch.float32)
    faces += pickle.loads(pickle.dumps(detect))(photograph)  # as worker processes get it
    assert torch.equal(torch.get_rng_state(), before)
    assert len(faces) == 3
    for face in faces:
        assert face.box == expected.box
        assert face.score == expected.score
        np.testing.assert_array_equal(face.points, expected.points)


def test_what_is_found_is_plain(found: dict[str, list[Detection]]) -> None:
    scores = [face.score for face in found["group"]]
    assert scores == sorted(scores, reverse=True)
    for face in found["group"]:
        box, points, score = face
        assert all(type(edge) is float for edge in (*box, score))
        assert points.shape == (5, 2)
        assert points.dtype == np.float64
        assert points.flags.writeable


@pytest.mark.parametrize(
    ("setting", "error", "sentence"),
    [
        ({"min_face": 11}, ValueError, "min_face must be at least 12 and finite, got 11"),
        ({"min_face": float("nan")}, ValueError, "min_face"),
        ({"min_face": float("inf")}, ValueError, "min_face"),
        ({"min_face": "20"}, TypeError, "min_face must be a number"),
        ({"thresholds": (0.6, 0.7)}, ValueError, "thresholds must be three"),
        ({"thresholds": 0.6}, ValueError, "thresholds must be three, got 0.6"),
        ({"thresholds": (0.6, 0.7, 70)}, ValueError, "thresholds must be between 0 and 1"),
        ({"thresholds": (0.6, 0.7, None)}, TypeError, "thresholds must be a number"),
        ({"factor": 1}, ValueError, "factor must be above 0 and below 1, got 1"),
        ({"factor": 0}, ValueError, "factor"),
        ({"factor": float("nan")}, ValueError, "factor"),
    ],
)
def test_settings_out_of_their_range(
    setting: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        MTCNN(**setting)


def test_it_says_how_it_is_set() -> None:
    assert repr(MTCNN(min_face=40)) == (
        "MTCNN(min_face=40, thresholds=(0.6, 0.7, 0.7), factor=0.709, device='cpu')"
    )
