from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from metricface.data import ImageSet


def _example() -> ImageSet:
    images = np.arange(4 * 3 * 5, dtype=np.uint8).reshape(4, 3, 5) * 4
    return ImageSet(images, np.array([0, 2, 0, 2]), ("ann", "bob", "cem"))


def _coloured() -> ImageSet:
    images = np.random.default_rng(0).integers(0, 256, (4, 3, 5, 3), np.uint8)
    return ImageSet(images, np.array([0, 2, 0, 2]), ("ann", "bob", "cem"))


def test_items_are_the_scaled_pixels() -> None:
    data = _example()
    image, label = data[1]
    assert image.dtype == torch.float32
    assert type(label) is int
    assert label == 2
    expected = [[(15 + 5 * row + column) * 4 / 255 for column in range(5)] for row in range(3)]
    torch.testing.assert_close(image, torch.tensor([expected]), rtol=1e-6, atol=0)


def test_colour_items_have_their_channels_first() -> None:
    data = _coloured()
    image, label = data[3]
    assert (image.dtype, image.shape, label) == (torch.float32, (3, 3, 5), 2)
    for channel, row, column in np.ndindex(3, 3, 5):
        value = float(data.images[3, row, column, channel]) / 255
        assert image[channel, row, column].item() == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("data", [_example(), _coloured()], ids=["grey", "colour"])
@pytest.mark.parametrize("indices", [[2, 0, 2, -1], [], np.array([1]), torch.tensor([3, 1])])
def test_a_batch_is_its_items(data: ImageSet, indices: Any) -> None:
    batch = data.__getitems__(indices)
    assert isinstance(batch, list)
    assert len(batch) == len(indices)
    for index, (image, label) in zip(indices, batch, strict=True):
        assert torch.equal(image, data[int(index)][0])
        assert label == data[int(index)][1]
        assert type(label) is int


def test_a_data_loader_fetches_whole_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    def alone(*_: object) -> None:
        raise AssertionError("fetched one by one")

    monkeypatch.setattr(ImageSet, "__getitem__", alone)
    shapes = [tuple(images.shape) for images, _ in DataLoader(_coloured(), batch_size=3)]
    assert shapes == [(3, 3, 3, 5), (1, 3, 3, 5)]


def test_batches_outside_the_set() -> None:
    with pytest.raises(IndexError):
        _example().__getitems__([0, 4])


@pytest.mark.parametrize("data", [_example(), _coloured()], ids=["grey", "colour"])
def test_the_whole_tensor_equals_the_items(data: ImageSet) -> None:
    assert torch.equal(data.tensor(), torch.stack([data[i][0] for i in range(len(data))]))


def test_the_tensor_is_a_copy_even_of_read_only_images() -> None:
    data = _example()
    data.images.flags.writeable = False
    data.tensor().zero_()
    data[3][0].zero_()
    assert data.images[3, 2, 4] == 236


def test_negative_and_outside_indices() -> None:
    data = _example()
    assert torch.equal(data[-1][0], data[3][0])
    with pytest.raises(IndexError):
        data[4]


@pytest.mark.parametrize(
    "indices", [[3, 0, 3], np.array([3, 0, 3], np.int32), torch.tensor([3, 0, 3])]
)
def test_subset_keeps_order_labels_and_names(indices: Any) -> None:
    data = _example()
    part = data.subset(indices)
    np.testing.assert_array_equal(part.images, data.images[[3, 0, 3]])
    assert part.labels.tolist() == [2, 0, 2]
    assert part.names == data.names


def test_an_empty_subset_is_a_set() -> None:
    part = _example().subset([])
    assert len(part) == 0
    assert part.tensor().shape == (0, 1, 3, 5)


@pytest.mark.parametrize(
    ("indices", "error", "words"),
    [
        (np.array([True, False, True, True]), TypeError, "bool"),
        ([0.0, 1.0], TypeError, "float64"),
        (np.zeros((2, 2), np.int64), ValueError, r"\(2, 2\)"),
        ([0, 9], IndexError, "9"),
    ],
)
def test_bad_subsets_say_what_arrived(indices: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        _example().subset(indices)


_GOOD: dict[str, Any] = {
    "images": np.zeros((2, 3, 3), np.uint8),
    "labels": np.array([0, 1]),
    "names": ("a", "b"),
}


@pytest.mark.parametrize(
    ("field", "value", "error", "words"),
    [
        ("images", np.zeros((2, 3, 3)), TypeError, "float64"),
        ("images", torch.zeros(2, 3, 3), TypeError, "Tensor"),
        ("images", np.zeros((2, 9), np.uint8), ValueError, r"\(2, 9\)"),
        ("images", np.zeros((2, 3, 3, 4), np.uint8), ValueError, r"\(2, 3, 3, 4\)"),
        ("images", np.zeros((2, 3, 3, 3, 3), np.uint8), ValueError, r"\(2, 3, 3, 3, 3\)"),
        ("images", np.zeros((5, 3, 3), np.uint8), ValueError, "5 images but 2 labels"),
        ("labels", np.array([0, 1], np.int32), TypeError, "int32"),
        ("labels", np.array([[0], [1]]), ValueError, r"\(2, 1\)"),
        ("labels", np.array([0, 2]), ValueError, "from 0 to 2, with 2 names"),
        ("labels", np.array([-1, 1]), ValueError, "from -1 to 1"),
        ("names", ["a", "b"], TypeError, "tuple of strings"),
        ("names", ("a", 1), TypeError, "tuple of strings"),
    ],
)
def test_bad_sets_say_what_arrived(
    field: str, value: Any, error: type[Exception], words: str
) -> None:
    ImageSet(**_GOOD)
    with pytest.raises(error, match=words):
        ImageSet(**{**_GOOD, field: value})


def test_it_is_frozen() -> None:
    with pytest.raises(AttributeError):
        _example().labels = np.array([0])  # type: ignore[misc]


def test_a_data_loader_takes_it() -> None:
    batches = list(DataLoader(_example(), batch_size=3))
    assert [tuple(images.shape) for images, _ in batches] == [(3, 1, 3, 5), (1, 1, 3, 5)]
    assert torch.cat([labels for _, labels in batches]).tolist() == [0, 2, 0, 2]


def test_it_pickles_for_worker_processes() -> None:
    data = _example()
    again = pickle.loads(pickle.dumps(data))
    assert torch.equal(again.tensor(), data.tensor())
    assert repr(again) == "ImageSet(4 images of 3 x 5, 2 identities)"
    assert repr(_coloured()) == "ImageSet(4 colour images of 3 x 5, 2 identities)"
    assert (data.channels, _coloured().channels) == (1, 3)
