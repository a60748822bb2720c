"""insightface's files as what is tested on."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.faces.sources import Alignment, bin_trial, training_images
from metricface import data
from metricface.data import orl_faces


@pytest.mark.skipif(not hasattr(data, "verification_bin"), reason="no reader in this release")
def test_a_verification_set_is_judged_by_its_own_pairs(tmp_path: Path) -> None:
    encoded = []
    for pixels in orl_faces().images[:8]:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, format="PNG")
        encoded.append(file.getvalue())
    (tmp_path / "lfw.bin").write_bytes(pickle.dumps((encoded, [True, False, True, False])))
    trial = bin_trial(tmp_path / "lfw.bin", (32, 24))
    assert trial.protocol == "the pairs of lfw.bin"
    assert trial.images[7][0].shape == (3, 32, 24)
    assert trial.pairs is not None
    assert trial.same is not None
    assert trial.pairs.tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert trial.same.tolist() == [True, False, True, False]


def test_record_files_are_crops_already(tmp_path: Path) -> None:
    how = Alignment("mtcnn", "arcface")
    with pytest.raises(ValueError, match="record files hold crops: leave out --align"):
        training_images(str(tmp_path / "train.rec"), None, how, tmp_path)
