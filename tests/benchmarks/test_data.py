"""Which images the benchmark runs on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.convergence.folds import load
from benchmarks.convergence.settings import defaults, headline


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
    with pytest.raises(ValueError, match=r"data must be glyphs, orl, olivetti, lfw or a folder"):
        load(str(tmp_path / "nowhere"))
