from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metricface.data.sets.archive import read_arrays, write_arrays

_ARRAYS: dict[str, npt.NDArray[Any]] = {
    "images": np.arange(60, dtype=np.uint8).reshape(5, 3, 4),
    "codes": np.arange(5),
}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a" / "b" / "it.npz"
    write_arrays(file, _ARRAYS)
    arrays = read_arrays(file, ["codes", "images"])
    assert arrays is not None
    for name, array in _ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)
    assert list(file.parent.iterdir()) == [file]


@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_a_damaged_file_is_none_or_harmless(tmp_path: Path, data: st.DataObject) -> None:
    file = tmp_path / "it.npz"
    if not (tmp_path / "good.npz").exists():
        write_arrays(tmp_path / "good.npz", _ARRAYS)
    content = bytearray((tmp_path / "good.npz").read_bytes())
    if data.draw(st.booleans(), label="cut"):
        content = content[: data.draw(st.integers(0, len(content) - 1), label="length")]
    else:
        content[data.draw(st.integers(0, len(content) - 1), label="place")] ^= data.draw(
            st.integers(1, 255), label="bits"
        )
    file.write_bytes(content)
    arrays = read_arrays(file, ["images", "codes"])
    if arrays is not None:
        np.testing.assert_array_equal(arrays["images"], _ARRAYS["images"])
        np.testing.assert_array_equal(arrays["codes"], _ARRAYS["codes"])


def test_a_cut_file_a_missing_array_and_a_pickle_are_none(tmp_path: Path) -> None:
    file = tmp_path / "it.npz"
    write_arrays(file, _ARRAYS)
    assert read_arrays(file, ["images", "others"]) is None
    file.write_bytes(file.read_bytes()[:-30])
    assert read_arrays(file, ["images"]) is None
    np.savez(file, images=np.array([{}], dtype=object))
    assert read_arrays(file, ["images"]) is None


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "it.npz"
    write_arrays(file, _ARRAYS)
    before = file.read_bytes()

    def interrupted(stream: Any, **_: Any) -> None:
        stream.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez_compressed", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_arrays(file, {"images": np.ones(3)})
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_a_killed_write_leaves_no_file(tmp_path: Path) -> None:
    file = tmp_path / "it.npz"
    script = """
import os, sys
from pathlib import Path
import numpy as np
from metricface.data.sets.archive import write_arrays
whole = np.savez_compressed
def killed(stream, **arrays):
    whole(stream, **arrays)
    stream.flush()
    os.kill(os.getpid(), 9)
np.savez_compressed = killed
write_arrays(Path(sys.argv[1]), {"images": np.ones(3)})
"""
    done = subprocess.run([sys.executable, "-c", script, str(file)], check=False)
    assert done.returncode == -9
    assert not file.exists()
    assert len(list(tmp_path.iterdir())) == 1, "the kill was to come after the bytes were written"
    write_arrays(file, _ARRAYS)
    assert read_arrays(file, ["codes"]) is not None
