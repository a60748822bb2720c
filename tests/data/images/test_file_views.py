from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from metricface.data import ImageSet, image_array
from metricface.data.images.file_views import file_view

_PIXELS = np.random.default_rng(0).integers(0, 256, (40, 3, 30, 20), np.uint8)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("arrays") / "images.npy"
    np.save(path, _PIXELS)
    return path


def _slices(length: int) -> st.SearchStrategy[slice]:
    return st.tuples(st.integers(0, length - 1), st.integers(1, length), st.integers(1, 4)).map(
        lambda of: slice(of[0], of[0] + of[1], of[2])
    )


@settings(deadline=None, max_examples=60)
@given(st.tuples(*(_slices(length) for length in _PIXELS.shape)), st.permutations(range(4)))
def test_any_forward_view_is_found_again_in_its_file(
    tmp_path_factory: pytest.TempPathFactory, slices: tuple[slice, ...], axes: list[int]
) -> None:
    path = tmp_path_factory.getbasetemp() / "views.npy"
    if not path.exists():
        np.save(path, _PIXELS)
    array = np.load(path, mmap_mode="r")[slices].transpose(axes)
    view = file_view(array)
    assert view is not None
    again = view.opened()
    np.testing.assert_array_equal(again, array)
    assert not again.flags.writeable
    assert file_view(again[:1]) is not None


@pytest.mark.parametrize("order", ["C", "F"])
def test_raw_and_fortran_files(tmp_path: Path, order: Any) -> None:
    mapped = np.memmap(tmp_path / "raw", np.uint8, "w+", 5, (4, 6, 5), order)
    mapped[:] = _PIXELS[:4, 0, :6, :5]
    view = file_view(mapped)
    assert view is not None
    np.testing.assert_array_equal(view.opened(), _PIXELS[:4, 0, :6, :5])


def test_what_is_not_a_files_has_no_view(file: Path) -> None:
    assert file_view(_PIXELS) is None
    assert file_view(np.load(file, mmap_mode="r")[:0]) is None
    private = np.load(file, mmap_mode="c")
    private[0] = 0
    assert file_view(private) is None
    assert file_view(np.load(file, mmap_mode="r")[::-1]) is None
    assert file_view(np.array(np.load(file, mmap_mode="r"))) is None


def test_a_mapped_set_pickles_as_the_name_of_its_file(file: Path) -> None:
    labels = np.arange(40) % 4
    data = image_array(file, labels)
    sent = pickle.dumps(data)
    assert len(sent) < 2000
    again = pickle.loads(sent)
    assert torch.equal(again.tensor(), torch.from_numpy(_PIXELS) / 255)
    assert again.labels.tolist() == labels.tolist()
    assert len(pickle.dumps(again)) < 2000
    in_memory = ImageSet(np.array(data.images), data.labels, data.names)
    assert len(pickle.dumps(in_memory)) > _PIXELS.size


def test_changes_that_are_in_no_file_travel(file: Path) -> None:
    private: npt.NDArray[np.uint8] = np.load(file, mmap_mode="c")
    private[:, :, 0, 0] = 255
    data = image_array(private, np.zeros(40, np.int64))
    assert pickle.loads(pickle.dumps(data)).images[:, 0, 0].min() == 255


def test_processes_that_are_started_anew_read_the_file(file: Path) -> None:
    data = image_array(file, np.arange(40) % 4)
    loader = DataLoader(data, batch_size=20, num_workers=1, multiprocessing_context="spawn")
    images = torch.cat([batch for batch, _ in loader])
    assert torch.equal(images, torch.from_numpy(_PIXELS) / 255)


def test_a_subset_is_in_memory(file: Path) -> None:
    part = image_array(file, np.arange(40) % 4).subset([3, 1])
    assert not isinstance(part.images, np.memmap)
    np.testing.assert_array_equal(np.moveaxis(part.images, 3, 1), _PIXELS[[3, 1]])
