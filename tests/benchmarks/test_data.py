"""Which images the benchmark runs on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.convergence.__main__ import chosen_settings, main, parser
from benchmarks.convergence.folds import VERIFIED_EVERY, BothAxes, load, make_folds
from benchmarks.convergence.settings import defaults, headline
from metricface.data import TypefaceSet
from metricface.recipes import unseen_identities


def test_a_folder_of_images_is_a_data_set(tmp_path: Path) -> None:
    for name, grey in (("anna", 40), ("ben", 200)):
        (tmp_path / name).mkdir()
        for number in range(2):
            Image.new("L", (40, 50), grey).save(tmp_path / name / f"{number}.png")
    images = load(str(tmp_path))
    assert images.names == ("anna", "ben")
    assert images.images.shape == (4, 32, 32)
    assert np.unique(images.images).tolist() == [40, 200]
    assert defaults(str(tmp_path)).data == str(tmp_path)
    assert headline(str(tmp_path)) == headline("orl")


def test_what_is_no_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"data must be glyphs, han, orl, olivetti, lfw or a folder"
    ):
        load(str(tmp_path / "nowhere"))


@pytest.fixture(scope="module")
def characters() -> TypefaceSet:
    """Forty characters in twenty typefaces, two of each family."""
    label, typeface = (side.ravel() for side in np.mgrid[:40, :20])
    images = np.random.default_rng(0).integers(0, 256, (800, 8, 8), np.uint8)
    names = tuple(f"character {i}" for i in range(40))
    faces = tuple(f"typeface {i}" for i in range(20))
    return TypefaceSet(images, label, names, typeface, faces, typeface // 2)


@pytest.mark.parametrize("held", ["test", "validation"])
def test_characters_and_families_of_typefaces_are_held_out(
    characters: TypefaceSet, held: Literal["test", "validation"]
) -> None:
    settings = replace(defaults("han"), held=held, identities=20)
    tested = make_folds(characters, replace(settings, held="test"))[0]
    (fold,) = make_folds(characters, settings)
    trained, met = fold.train, fold.evaluate
    assert isinstance(trained, TypefaceSet)
    assert isinstance(met, BothAxes)
    assert len(np.unique(trained.labels)) == 20
    assert len(np.unique(trained.families)) == 7  # 70 % of 10
    assert not set(trained.labels) & set(fold.held.labels)
    count = 4 if held == "test" else 2
    assert len(np.unique(fold.held.labels)) == count
    # in one typeface of each of the ten families, or of those that are not the test's
    each = np.bincount(fold.held.labels)
    assert set(each[each > 0]) == {10 if held == "test" else 10 - 1}
    unseen = met.unseen.numpy()
    assert unseen.sum() == (count * 1 if held == "test" else count * 2)
    assert not set(fold.held.labels[unseen]) & set(trained.labels)
    if held == "validation":
        assert not set(fold.held.labels) & set(tested.held.labels)


def test_every_metric_is_taken_of_unseen_typefaces_too() -> None:
    labels = torch.arange(160).repeat_interleave(6)
    unseen = torch.arange(960) % 6 < 3
    good, bad = torch.eye(160)[labels], torch.eye(160)[torch.arange(960) % 150]
    embeddings = torch.where(unseen[:, None], bad, good)
    found = BothAxes(unseen)(embeddings, labels)
    alone = unseen_identities(embeddings[unseen], labels[unseen])
    assert found["map_at_r_unseen_typefaces"] == alone["map_at_r"]
    assert found["map_at_r"] == unseen_identities(embeddings, labels)["map_at_r"]
    assert found["map_at_r_unseen_typefaces"] < found["map_at_r"]
    assert len(found) == 2 * len(alone)
    some = torch.isin(labels, torch.arange(0, 160, VERIFIED_EVERY))
    verified = unseen_identities(embeddings[some], labels[some])
    assert found["eer"] == verified["eer"]
    assert found["recall_at_1"] != verified["recall_at_1"]


def test_where_fonts_lack_the_command_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("matplotlib.font_manager.findSystemFonts", list)
    monkeypatch.setenv("METRICFACE_CACHE", str(tmp_path / "cache"))
    arguments = ["benchmarks.convergence", "--data", "han", "--out", str(tmp_path / "run")]
    monkeypatch.setattr("sys.argv", arguments)
    with pytest.raises(SystemExit, match=r"(?s)characters that 10 typefaces.*\napt-get install "):
        main()


def test_a_folder_with_broken_files_is_refused_or_skips_them(tmp_path: Path) -> None:
    for name in ("ann", "ben", "cem"):
        (tmp_path / name).mkdir()
        for number in range(2):
            if name != "cem":
                pixels = np.full((40, 30), number, np.uint8)
                Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    (tmp_path / "ann" / "2.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match="1 of 3 folders"):
        load(str(tmp_path))
    with pytest.warns(UserWarning, match="left out"):
        assert len(load(str(tmp_path), broken="skip")) == 4
    said = ["--data", str(tmp_path), "--out", "run"]
    assert chosen_settings(parser().parse_args([*said, "--broken", "skip"])).broken == "skip"
    assert chosen_settings(parser().parse_args(said)).broken is None
