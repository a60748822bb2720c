from __future__ import annotations

import importlib
import sys
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist

from metricface.data import ImageSet, glyphs

# By name: in the package, ``glyphs`` is the function.
module = importlib.import_module("metricface.data.sets.glyphs")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a handful of characters, a space without ink among them."""
    codes = [ord(character) for character in " -AO\N{GREEK CAPITAL LETTER ALPHA}"]
    monkeypatch.setattr(module, "_shared_codepoints", lambda faces: codes)


@pytest.fixture
def never_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise AssertionError("drawn although kept")

    monkeypatch.setattr(module, "_drawn", fail)


def _names(data: ImageSet) -> str:
    return "".join(name[0] for name in data.names)


def test_about_1700_identities_with_12_images_each(characters: ImageSet) -> None:
    assert 1600 < len(characters.names) < 1800
    assert characters.images.shape == (12 * len(characters.names), 28, 28)
    assert characters.labels.tolist() == [i // 12 for i in range(len(characters))]


def test_names_are_letters_numbers_and_symbols_in_code_point_order(characters: ImageSet) -> None:
    codes = [ord(name[0]) for name in characters.names]
    assert codes == sorted(set(codes))
    assert [f"{chr(code)} U+{code:04X}" for code in codes] == list(characters.names)
    assert {unicodedata.category(chr(code))[0] for code in codes} == {"L", "N", "S"}


@pytest.mark.parametrize("alike", ["AΑА", "BΒВ", "HΗН", "OΟО", "oοо", "cс", "CС", "SЅ", "ΣƩ", "¹₁"])
def test_homoglyphs_count_once(characters: ImageSet, alike: str) -> None:
    assert len(set(alike) & set(_names(characters))) == 1


@pytest.mark.parametrize("different", ["ABEHIKMNOT", "abdeghkmn", "23456789", "ΔΘΞΠΦΨΩ", "ЖЩЮЯ"])
def test_characters_that_differ_are_all_there(characters: ImageSet, different: str) -> None:
    assert set(different) <= set(_names(characters))


def test_no_two_identities_look_alike(characters: ImageSet) -> None:
    pixels = characters.images.reshape(len(characters.names), -1) / 255
    chosen = np.random.default_rng(0).choice(len(pixels), 250, replace=False)
    neighbours = np.arange(600, 800)  # accented letters stand together
    for some in (chosen, neighbours):
        assert pdist(pixels[some]).min() / np.sqrt(pixels.shape[1]) > 0.15


def test_ink_fills_the_square_and_stands_in_its_middle(characters: ImageSet) -> None:
    extents = []
    for axis in (1, 2):
        lines = characters.images.max(axis=axis) > 0
        before, after = np.argmax(lines, axis=1), np.argmax(lines[:, ::-1], axis=1)
        assert np.abs(before - after).max() <= 2
        extents.append(28 - before - after)
    assert np.maximum(*extents).min() >= 27


def test_proportions_are_kept(characters: ImageSet) -> None:
    plus = characters.images[characters.labels == _names(characters).index("+")][0]
    letter = characters.images[characters.labels == _names(characters).index("I")][0]
    assert np.ptp(np.flatnonzero(plus.any(axis=0))) >= 26
    assert np.ptp(np.flatnonzero(plus.any(axis=1))) >= 26
    assert np.ptp(np.flatnonzero(letter.any(axis=0))) <= 6
    assert np.ptp(np.flatnonzero(letter.any(axis=1))) >= 26


def test_the_twelve_faces_come_in_the_stated_order(characters: ImageSet) -> None:
    letters = [_names(characters).index(letter) for letter in "HEM"]
    weight = characters.images.reshape(-1, 12, 28 * 28)[letters].mean(axis=(0, 2))
    for start in (0, 4, 8):
        assert weight[start : start + 2].max() < weight[start + 2 : start + 4].min()
    stem = characters.images.reshape(-1, 12, 28, 28)[letters[0], :, :, :14].argmax(axis=2)
    slant = np.abs(np.diff(stem, axis=1)).sum(axis=1)  # an H leans where its left edge moves
    assert slant[[1, 3, 5, 7]].min() > slant[[0, 2, 4, 6]].max()


@pytest.mark.usefixtures("few")
def test_characters_without_ink_and_lookalikes_are_left_out(tmp_path: Path) -> None:
    data = glyphs(size=9, cache=tmp_path)
    assert _names(data) == "-AO"
    assert data.images.shape == (36, 9, 9)


@pytest.mark.usefixtures("few")
def test_it_is_drawn_once_per_size(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    first = glyphs(size=9, cache=tmp_path)
    glyphs(size=10, cache=str(tmp_path))
    assert len(list(tmp_path.iterdir())) == 2
    request.getfixturevalue("never_drawn")
    again = glyphs(size=9, cache=tmp_path)
    np.testing.assert_array_equal(again.images, first.images)
    assert again.names == first.names
    with pytest.raises(AssertionError, match="drawn although kept"):
        glyphs(size=11, cache=tmp_path)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    ("setting", "value"), [("_THRESHOLD", 0.2), ("_VERSION", -1), ("_OVERSAMPLING", 3)]
)
def test_the_file_is_keyed_by_what_made_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, value: float
) -> None:
    glyphs(size=8, cache=tmp_path)
    monkeypatch.setattr(module, setting, value)
    glyphs(size=8, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_the_key_follows_the_bytes_of_the_faces(tmp_path: Path) -> None:
    face = tmp_path / "face.ttf"
    face.write_bytes(b"one")
    one = module._fingerprint([face], 8)
    assert module._fingerprint([face], 8) == one
    face.write_bytes(b"two")
    assert module._fingerprint([face], 8) != one


@pytest.mark.usefixtures("few")
def test_a_damaged_file_is_made_again(tmp_path: Path) -> None:
    first = glyphs(size=8, cache=tmp_path)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    for damaged in (b"", b"nonsense", whole[: len(whole) // 2]):
        file.write_bytes(damaged)
        np.testing.assert_array_equal(glyphs(size=8, cache=tmp_path).images, first.images)
        assert list(tmp_path.iterdir()) == [file]
        assert len(file.read_bytes()) == len(whole)


@pytest.mark.usefixtures("few")
def test_where_it_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("METRICFACE_CACHE", raising=False)
    glyphs(size=8)
    assert len(list((tmp_path / "home" / ".cache" / "metricface").iterdir())) == 1
    monkeypatch.setenv("METRICFACE_CACHE", str(tmp_path / "chosen"))
    glyphs(size=8)
    assert len(list((tmp_path / "chosen").iterdir())) == 1
    glyphs(size=8, cache="~/here")
    assert len(list((tmp_path / "home" / "here").iterdir())) == 1


@pytest.mark.usefixtures("few")
def test_without_tqdm_it_draws_without_a_bar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert len(glyphs(size=8, cache=tmp_path)) == 36
    assert capsys.readouterr().err == ""


def test_without_matplotlib_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError) as caught:
        glyphs()
    sentence = "glyphs needs matplotlib, which ships the typefaces: pip install matplotlib"
    assert str(caught.value) == sentence


def test_a_missing_face_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matplotlib.get_data_path", lambda: str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"DejaVuSans\.ttf.*pip install"):
        glyphs()


def test_bad_size() -> None:
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        glyphs(size=0)


@pytest.mark.usefixtures("few")
def test_global_random_states_neither_matter_nor_change(tmp_path: Path) -> None:
    images = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        torch_state = torch.get_rng_state()
        images.append(glyphs(size=8, cache=tmp_path / str(seed)).images)
        assert torch.equal(torch.get_rng_state(), torch_state)
        expected = np.random.RandomState(seed).randint(1 << 30)
        assert np.random.randint(1 << 30) == expected  # noqa: NPY002
    np.testing.assert_array_equal(images[0], images[1])
