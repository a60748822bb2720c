from __future__ import annotations

import multiprocessing
import os
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from metricface.data import ImageFiles, ImageSet
from metricface.samplers import PKSampler

_PIXELS = np.random.default_rng(0).integers(0, 256, (8, 6, 5, 3), np.uint8)
_LABELS = np.array([0, 0, 0, 0, 2, 2, 2, 2])
_NAMES = ("ann", "bob", "cem")

forking = pytest.mark.skipif(
    multiprocessing.get_start_method() != "fork", reason="what is patched here reaches a fork only"
)


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    files = [tmp_path / f"{i}.png" for i in range(len(_PIXELS))]
    for file, pixels in zip(files, _PIXELS, strict=True):
        Image.fromarray(pixels).save(file)
    return files


def _files(paths: list[Path], **options: Any) -> ImageFiles:
    return ImageFiles(paths, _LABELS[: len(paths)], _NAMES, **{"colour": True, **options})


def test_items_are_those_of_the_same_images_in_memory(paths: list[Path]) -> None:
    files, memory = _files(paths), ImageSet(_PIXELS, _LABELS, _NAMES)
    for i in (0, 5, -1):
        assert torch.equal(files[i][0], memory[i][0])
        assert files[i][1] == memory[i][1]
        assert type(files[i][1]) is int
    for one, other in zip(
        files.__getitems__([7, 0, 7]), memory.__getitems__([7, 0, 7]), strict=True
    ):
        assert torch.equal(one[0], other[0])
        assert one[1] == other[1]
    assert files.__getitems__([]) == []
    with pytest.raises(IndexError):
        files[8]


def test_loading_gives_the_pixels(paths: list[Path]) -> None:
    loaded = _files(paths).load()
    np.testing.assert_array_equal(loaded.images, _PIXELS)
    assert loaded.labels.tolist() == _LABELS.tolist()
    assert loaded.names == _NAMES
    assert _files(paths, colour=False, size=(4, 3)).load().images.shape == (8, 4, 3)


def test_paths_labels_and_subset(paths: list[Path]) -> None:
    files = _files(paths, size=(4, 3))
    assert list(files.paths) == paths
    assert list(files.paths[2:4]) == paths[2:4]
    assert repr(files) == "ImageFiles(8 colour image files of 4 x 3, 2 identities)"
    part = files.subset([6, 0, 6])
    assert [path.name for path in part.paths] == ["6.png", "0.png", "6.png"]
    assert part.labels.tolist() == [2, 0, 2]
    assert (part.names, part.size, part.colour) == (_NAMES, (4, 3), True)
    assert len(files.subset([])) == 0
    with pytest.raises(TypeError, match="bool"):
        files.subset(np.ones(8, bool))


def test_names_that_are_no_text_are_kept(tmp_path: Path, paths: list[Path]) -> None:
    odd = tmp_path / os.fsdecode(b"caf\xe9 \xc3\xa9.png")
    paths[0].rename(odd)
    files = _files([odd, *paths[1:]])
    assert files.paths[0] == odd
    assert files[0][0].shape == (3, 6, 5)


@forking
@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
@pytest.mark.parametrize("loaded", [False, True])
def test_worker_processes_decode(
    paths: list[Path], monkeypatch: pytest.MonkeyPatch, loaded: bool
) -> None:
    def process_number(path: Path, **_: Any) -> npt.NDArray[np.uint8]:
        return np.frombuffer(os.getpid().to_bytes(8, "little"), np.uint8).reshape(1, 8)

    monkeypatch.setattr("metricface.data.images.encoded_images.read_image", process_number)
    monkeypatch.setattr("metricface.data.pixels.many_files.read_image", process_number)
    monkeypatch.setattr("metricface.data.pixels.many_files._BATCH", 2)
    if loaded:
        images = _files(paths).load(workers=2).tensor()
    else:
        images = torch.cat([x for x, _ in DataLoader(_files(paths), batch_size=2, num_workers=2)])
    written = (images * 255).round().to(torch.uint8).numpy().reshape(8, 8)
    processes = {int.from_bytes(row.tobytes(), "little") for row in written}
    assert len(processes) == 2
    assert os.getpid() not in processes


@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
def test_workers_change_nothing(paths: list[Path]) -> None:
    paths[3].write_bytes(b"broken")
    with pytest.warns(UserWarning, match="1 of 8 files broken"):
        alone = _files(paths).load(broken="skip")
    with pytest.warns(UserWarning, match="1 of 8 files broken"):
        together = _files(paths).load(broken="skip", workers=2)
    np.testing.assert_array_equal(together.images, alone.images)
    np.testing.assert_array_equal(together.labels, alone.labels)


@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
def test_a_broken_file_is_named_from_a_worker(paths: list[Path]) -> None:
    paths[3].write_bytes(b"broken")
    batches = iter(DataLoader(_files(paths), batch_size=4, num_workers=1))
    with pytest.raises(ValueError, match=r"3\.png is no readable image"):
        next(batches)
    # Left to the garbage collector, which the error's traceback delays, this takes torch 5 s.
    batches._shutdown_workers()  # type: ignore[attr-defined]


def test_a_sampler_and_a_loader_take_it(paths: list[Path]) -> None:
    files = _files(paths)
    loader = DataLoader(files, batch_sampler=PKSampler(files.labels, p=2, k=3))
    for images, labels in loader:
        assert images.shape == (6, 3, 6, 5)
        assert sorted(labels.tolist()) == [0, 0, 0, 2, 2, 2]


def test_all_broken_files_are_counted_and_the_first_named(paths: list[Path]) -> None:
    for i in (1, 2, 4, 6, 7):
        paths[i].write_bytes(paths[i].read_bytes()[:40])
    words = r"5 of 8 files broken: .*1\.png .*; .*2\.png .*; .*4\.png [^;]*; and 2 more$"
    for method in (_files(paths).load, _files(paths).checked):
        with pytest.raises(ValueError, match=words):
            method()


def test_broken_files_can_be_skipped_with_a_warning(paths: list[Path]) -> None:
    for i in (0, 5):
        paths[i].write_bytes(b"")
    kept = [1, 2, 3, 4, 6, 7]
    words = r"left out: 2 of 8 files broken: .*0\.png"
    with pytest.warns(UserWarning, match=words) as of_load:
        loaded = _files(paths).load(broken="skip")
    with pytest.warns(UserWarning, match=words) as of_checked:
        checked = _files(paths).checked(broken="skip")
    assert [warning.filename for warning in (*of_load, *of_checked)] == [__file__, __file__]
    np.testing.assert_array_equal(loaded.images, _PIXELS[kept])
    assert loaded.labels.tolist() == _LABELS[kept].tolist()
    assert loaded.names == _NAMES
    assert list(checked.paths) == [paths[i] for i in kept]
    np.testing.assert_array_equal(checked.load().images, loaded.images)


def test_nothing_readable_is_an_error(paths: list[Path]) -> None:
    for path in paths:
        path.write_bytes(b"")
    with pytest.warns(UserWarning, match="8 of 8"), pytest.raises(ValueError, match="none of 8"):
        _files(paths).load(broken="skip")
    with pytest.raises(ValueError, match="none of 0"):
        _files([]).load()


def test_an_absent_file_is_an_error_also_when_broken_ones_are_skipped(paths: list[Path]) -> None:
    paths[2].unlink()
    with pytest.raises(FileNotFoundError, match=r"2\.png"):
        _files(paths).load(broken="skip")


def test_images_of_different_sizes_are_named(paths: list[Path]) -> None:
    Image.fromarray(_PIXELS[0, :4]).save(paths[6])
    words = r"6\.png has 4 x 5 pixels but .*{}\.png has 6 x 5: give size=\(height, width\)"
    with pytest.raises(ValueError, match=words.format(5)):
        next(iter(DataLoader(_files(paths), sampler=[5, 6, 7], batch_size=3)))
    with pytest.raises(ValueError, match=words.format(0)):
        _files(paths).load()
    assert _files(paths)[6][0].shape == (3, 4, 5)
    assert _files(paths, size=(6, 5)).load().images.shape == (8, 6, 5, 3)


def test_the_global_generators_are_left_alone(paths: list[Path]) -> None:
    state = torch.get_rng_state()
    _files(paths).load()
    assert torch.equal(torch.get_rng_state(), state)


def test_a_bar_is_shown_if_asked_for(
    paths: list[Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _files(paths).load()
    assert capsys.readouterr().err == ""
    _files(paths).load(progress=True)
    assert "decoding images: 100%" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with pytest.raises(ImportError, match=r"needs tqdm: pip install 'metricface\[progress\]'"):
        _files(paths).load(progress=True)


def test_it_pickles_small(paths: list[Path]) -> None:
    files = ImageFiles(paths * 500, np.tile(_LABELS, 500), _NAMES)
    again = pickle.loads(pickle.dumps(files))
    assert list(again.paths) == list(files.paths)
    assert len(pickle.dumps(files)) < 4000 * (len(str(paths[0])) + 8) + 3000


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"size": (0, 3)}, ValueError, r"got \(0, 3\)"),
        ({"size": (3,)}, ValueError, r"got \(3,\)"),
        ({"labels": _LABELS[:3]}, ValueError, "8 images but 3 labels"),
        ({"labels": _LABELS + 1}, ValueError, "from 1 to 3, with 3 names"),
        ({"labels": _LABELS.astype(np.int32)}, TypeError, "int32"),
        ({"names": ["ann", "bob", "cem"]}, TypeError, "tuple of strings"),
    ],
)
def test_bad_sets_say_what_arrived(
    paths: list[Path], options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        ImageFiles(**{"paths": paths, "labels": _LABELS, "names": _NAMES, **options})


def test_a_bad_policy(paths: list[Path]) -> None:
    with pytest.raises(ValueError, match="got 'ignore'"):
        _files(paths).load(broken="ignore")  # type: ignore[arg-type]
