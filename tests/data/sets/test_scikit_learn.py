"""scikit-learn's own loaders, on folders filled as its downloads fill them; nothing is fetched."""

from __future__ import annotations

import re
import sys
import urllib.error
from pathlib import Path
from typing import Any

import joblib  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from metricface.data import lfw, olivetti, orl_faces

_COUNTS = {"Zoe_Adams": 2, "Ann_Lee": 3, "Max_Q": 1}


@pytest.fixture(scope="module")
def lfw_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("scikit_learn_data")
    home = root / "lfw_home"
    rng = np.random.default_rng(0)
    for person, count in _COUNTS.items():
        folder = home / "lfw_funneled" / person
        folder.mkdir(parents=True)
        for i in range(1, count + 1):
            coarse = Image.fromarray(rng.integers(0, 256, (10, 10, 3), np.uint8))
            coarse.resize((250, 250)).save(folder / f"{person}_{i:04}.jpg")
    for name in ("pairsDevTrain.txt", "pairsDevTest.txt", "pairs.txt"):
        (home / name).touch()
    return root


def _stored(root: Path, name: str) -> list[npt.NDArray[np.uint8]]:
    files = sorted((root / "lfw_home" / "lfw_funneled" / name.replace(" ", "_")).iterdir())
    return [np.asarray(Image.open(file)) for file in files]


def _sorted(images: Any) -> list[bytes]:
    return sorted(np.ascontiguousarray(image).tobytes() for image in images)


@pytest.mark.parametrize("crop", [True, False])
def test_lfw_in_colour_is_the_pixels_of_the_files(lfw_folder: Path, crop: bool) -> None:
    people = lfw(folder=lfw_folder, colour=True, crop=crop, download=False)
    assert people.names == ("Ann Lee", "Max Q", "Zoe Adams")
    assert people.labels.tolist() == [0, 0, 0, 1, 2, 2]
    area = (slice(70, 195), slice(78, 172)) if crop else (slice(None), slice(None))
    for identity, name in enumerate(people.names):
        expected = _sorted(image[area] for image in _stored(lfw_folder, name))
        assert _sorted(people.images[people.labels == identity]) == expected


def test_lfw_in_grey_is_the_mean_of_the_channels(lfw_folder: Path) -> None:
    people = lfw(folder=lfw_folder, download=False)
    assert people.images.shape == (6, 125, 94)
    (max_q,) = people.images[people.labels == 1]
    (stored,) = _stored(lfw_folder, "Max Q")
    mean = stored[70:195, 78:172].sum(axis=2, dtype=int) / 3
    np.testing.assert_allclose(max_q, mean, rtol=0, atol=0.51)


def test_lfw_with_fewer_people_and_pixels(lfw_folder: Path) -> None:
    people = lfw(folder=str(lfw_folder), min_images=2, size=(25, 47), download=False)
    assert people.names == ("Ann Lee", "Zoe Adams")
    whole = lfw(folder=lfw_folder, min_images=2, download=False)
    blocks = whole.images.reshape(5, 25, 5, 47, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(people.images, blocks, rtol=0, atol=0.51)


@pytest.fixture
def olivetti_folder(tmp_path: Path) -> tuple[Path, npt.NDArray[np.uint8]]:
    images = np.random.default_rng(0).integers(0, 256, (400, 64, 64), np.uint8)
    images[0, 0, :2] = 0, 255  # scikit-learn stretches what is there to 0 … 1
    columns = images.transpose(0, 2, 1).reshape(400, 64 * 64)
    joblib.dump(columns, tmp_path / "olivetti_py3.pkz", compress=6)
    return tmp_path, images


def test_olivetti(olivetti_folder: tuple[Path, npt.NDArray[np.uint8]]) -> None:
    folder, images = olivetti_folder
    people = olivetti(folder=folder, download=False)
    np.testing.assert_array_equal(people.images, images)
    assert people.labels.tolist() == orl_faces().labels.tolist()
    assert people.names == tuple(str(i) for i in range(40))
    assert olivetti(folder=folder, size=(32, 16), download=False).images.shape == (400, 32, 16)


@pytest.mark.parametrize(("source", "loader"), [(lfw, "lfw_people"), (olivetti, "olivetti_faces")])
def test_nothing_there_and_no_network_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: Any, loader: str
) -> None:
    sentence = (
        rf"^the images are not all in {re.escape(str(tmp_path))} and {{}}: call "
        rf"sklearn\.datasets\.fetch_{loader}\(\) where there is a network, and copy that folder "
        r"here \(.+\)$"
    )
    with pytest.raises(FileNotFoundError, match=sentence.format(r"may not be downloaded .*")):
        source(folder=tmp_path, download=False)

    def unreachable(**options: Any) -> None:
        assert options["download_if_missing"]
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(f"sklearn.datasets.fetch_{loader}", unreachable)
    with pytest.raises(FileNotFoundError, match=sentence.format("could not be downloaded")):
        source(folder=tmp_path)


@pytest.mark.parametrize("source", [lfw, olivetti])
def test_without_scikit_learn_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, source: Any
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError) as caught:
        source()
    expected = f"{source.__name__} needs scikit-learn: pip install 'metricface[evaluation]'"
    assert str(caught.value) == expected


def test_bad_settings(lfw_folder: Path) -> None:
    for source in (lfw, olivetti):
        with pytest.raises(ValueError, match=r"got \(0, 5\)"):
            source(size=(0, 5), download=False)
    with pytest.raises(ValueError, match="min_images must be at least 1, got 0"):
        lfw(min_images=0, download=False)
    with pytest.raises(ValueError, match="too restrictive"):
        lfw(folder=lfw_folder, min_images=9, download=False)
