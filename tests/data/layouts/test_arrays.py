from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from metricface.data import image_array

_RNG = np.random.default_rng(0)
_GREY = _RNG.integers(0, 256, (4, 6, 5), np.uint8)
_COLOUR = _RNG.integers(0, 256, (4, 6, 5, 3), np.uint8)
_LABELS = [7, 7, -1, 12]


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (_GREY, _GREY),
        (_GREY[:, None], _GREY),
        (_GREY[..., None], _GREY),
        (_COLOUR, _COLOUR),
        (np.ascontiguousarray(np.moveaxis(_COLOUR, 3, 1)), _COLOUR),
    ],
    ids=["grey", "grey first", "grey last", "colour last", "colour first"],
)
@pytest.mark.parametrize("mapped", [False, True])
def test_the_layout_is_told_by_the_shape_and_nothing_is_copied(
    tmp_path: Path, array: npt.NDArray[np.uint8], expected: npt.NDArray[np.uint8], mapped: bool
) -> None:
    source: Any = array
    if mapped:
        source = tmp_path / "images.npy"
        np.save(source, array)
    data = image_array(source, _LABELS)
    np.testing.assert_array_equal(data.images, expected)
    assert isinstance(data.images, np.memmap) == mapped
    assert mapped or np.shares_memory(data.images, array)


@pytest.mark.parametrize(
    ("labels", "numbers", "names"),
    [
        (_LABELS, [1, 1, 0, 2], ("-1", "7", "12")),
        (torch.tensor(_LABELS), [1, 1, 0, 2], ("-1", "7", "12")),
        (["b", "a", "b", "é"], [1, 0, 1, 2], ("a", "b", "é")),
        (np.array([b"b", b"a", b"b", b"c"]), [1, 0, 1, 2], ("a", "b", "c")),
        ([1 << 70, 0, 0, 1 << 70], [1, 0, 0, 1], ("0", str(1 << 70))),
    ],
)
def test_labels_are_numbered_in_sorted_order(
    labels: Any, numbers: list[int], names: tuple[str, ...]
) -> None:
    data = image_array(_GREY, labels)
    assert data.labels.tolist() == numbers
    assert data.names == names


def test_labels_from_a_file(tmp_path: Path) -> None:
    np.save(tmp_path / "labels.npy", np.array(["b", "a", "b", "a"]))
    assert image_array(_GREY, str(tmp_path / "labels.npy")).names == ("a", "b")


def test_an_ambiguous_shape_is_an_error_that_a_setting_resolves() -> None:
    both = _RNG.integers(0, 256, (4, 3, 5, 3), np.uint8)
    with pytest.raises(ValueError, match=r"\(4, 3, 5, 3\).*channels='first' or channels='last'"):
        image_array(both, _LABELS)
    np.testing.assert_array_equal(image_array(both, _LABELS, channels="last").images, both)
    first = image_array(both, _LABELS, channels="first").images
    assert [first[2, i, j, c] for c, i, j in np.ndindex(3, 5, 3)] == both[2].ravel().tolist()


@pytest.mark.parametrize(
    ("array", "options", "error", "words"),
    [
        (_GREY.astype(np.float32), {}, TypeError, "float32"),
        (_GREY[0], {}, ValueError, r"\(6, 5\)"),
        (_GREY[None, None], {}, ValueError, r"\(1, 1, 4, 6, 5\)"),
        (_COLOUR[..., :2], {}, ValueError, r"no axis of shape \(4, 6, 5, 2\)"),
        (_COLOUR, {"channels": "first"}, ValueError, r"no axis of shape \(4, 6, 5, 3\)"),
        (_COLOUR, {"channels": "middle"}, ValueError, "got 'middle'"),
        (_GREY[:3], {}, ValueError, "3 images but 4 labels"),
    ],
)
def test_bad_arrays_say_what_arrived(
    array: npt.NDArray[Any], options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        image_array(array, _LABELS, **options)


def test_bad_labels() -> None:
    with pytest.raises(TypeError, match="float"):
        image_array(_GREY, np.zeros(4))


class _Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.abort, ()


def test_files_that_hold_no_plain_array(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.npy"):
        image_array(tmp_path / "none.npy", _LABELS)
    file = tmp_path / "it.npy"
    np.save(file, np.array([_Trap()], dtype=object), allow_pickle=True)
    contents = [file.read_bytes(), b"", b"no array"]
    np.save(file, _GREY)
    contents.append(file.read_bytes()[:-1])
    np.savez(tmp_path / "it.npz", _GREY)
    contents.append((tmp_path / "it.npz").read_bytes())
    for content in contents:
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"it\.npy is no \.npy file of numbers or strings"):
            image_array(file, _LABELS)


def test_no_images_at_all(tmp_path: Path) -> None:
    np.save(tmp_path / "none.npy", np.zeros((0, 6, 5), np.uint8))
    assert len(image_array(tmp_path / "none.npy", [])) == 0
