"""The weights of MTCNN, read out of the wheel of the package mtcnn without running any of it."""

from __future__ import annotations

import hashlib
import io
import pickle
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from metricface.data.detection.networks import NAMES, Network, network

_INSTALL = "pip install 'metricface[faces]'"
_DIGESTS = {  # sha256 of the files in the wheel of mtcnn 1.0.0; they hold no checksum themselves
    "pnet": "ea6b0c3e685ebee3165326ad6484acc95f2ef78f1c94fbf40a55704fa989f7b5",
    "rnet": "cb00e6460f3c98b0bfafaba3c0a0ded4bdf6e62cee7174d969e8670d7e757fee",
    "onet": "94f6ea2f4cf985275ee958cdd762d17b6009348a4fb9d8c6be39ba73ffd22ca3",
}


def trained_networks() -> list[Network]:
    """P-Net, R-Net and O-Net with their weights, in evaluation mode, on the processor.

    The package mtcnn is located, and never imported. The bytes of each file must be those of its
    release 1.0.0, else the file is not opened.

    Returns:
        The three networks, in the order in which they are used.

    Raises:
        ImportError: mtcnn or lz4, in which its files are packed, is not installed.
        FileNotFoundError: the installed mtcnn lacks one of the files.
        ValueError: a file is not the one of the release.

    Example:
        >>> [len(list(trained.parameters())) for trained in trained_networks()]
        [13, 16, 21]
    """
    folder = _folder()
    return [_filled(name, stored_arrays(_unpacked(folder / f"{name}.lz4"))) for name in NAMES]


def _folder() -> Path:
    try:
        found = distribution("mtcnn")
    except PackageNotFoundError as error:
        raise ImportError(
            f"MTCNN needs the package mtcnn, which ships the weights: {_INSTALL}", name="mtcnn"
        ) from error
    return Path(str(found.locate_file("mtcnn/assets/weights")))


def _unpacked(file: Path) -> bytes:
    try:
        import lz4.frame
    except ImportError as error:
        raise ImportError(
            f"the weights of MTCNN are packed by lz4, which is not installed: {_INSTALL}",
            name="lz4",
        ) from error
    if not file.is_file():
        raise FileNotFoundError(f"{file} is missing, as in other releases of mtcnn: {_INSTALL}")
    packed = file.read_bytes()
    if hashlib.sha256(packed).hexdigest() != _DIGESTS[file.stem]:
        raise ValueError(
            f"{file} is damaged or of another release of mtcnn than 1.0.0 and was not opened: "
            "pip install --force-reinstall --no-deps mtcnn==1.0.0"
        )
    return bytes(lz4.frame.decompress(packed))


def stored_arrays(data: bytes) -> list[npt.NDArray[np.float32]]:
    """The arrays of a list that joblib has written.

    Such a file is a pickle in which the bytes of each array follow its description. What the
    pickle may name are those descriptions alone.

    Args:
        data: the content of the file, unpacked.

    Returns:
        The arrays, in order.

    Raises:
        ValueError: the file names anything else, holds no arrays of float32, or is truncated.

    Example:
        >>> stored_arrays(pickle.dumps([print]))
        Traceback (most recent call last):
        ...
        ValueError: no list of float32 arrays: builtins.print is not admitted
    """
    stream = io.BytesIO(data)
    try:
        found = _Described(stream).load()
        return [entry.read for entry in found]
    except MemoryError:
        raise
    except Exception as error:  # a damaged pickle may raise almost anything
        raise ValueError(f"no list of float32 arrays: {error}") from error


class _Described(pickle.Unpickler):
    """An unpickler that knows how joblib describes an array, and nothing else."""

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream)

        class Entry(_Entry):
            source = stream

        self._admitted: dict[str, Any] = {
            "joblib.numpy_pickle.NumpyArrayWrapper": Entry,
            "numpy.ndarray": np.ndarray,
            "numpy.dtype": np.dtype,
        }

    def find_class(self, module: str, name: str) -> Any:
        known = self._admitted.get(f"{module}.{name}")
        if known is None:
            raise pickle.UnpicklingError(f"{module}.{name} is not admitted")
        return known


class _Entry:
    """An array, read when its description is complete: that is where its bytes begin."""

    source: io.BytesIO
    read: npt.NDArray[np.float32]

    def __setstate__(self, state: dict[str, Any]) -> None:
        if state["dtype"] != np.dtype("<f4") or state["order"] != "C":
            raise ValueError(f"an array of {state['dtype']} in the order {state['order']}")
        padding = self.source.read(1)[0]
        self.source.read(padding)
        shape = tuple(int(length) for length in state["shape"])
        flat = np.frombuffer(self.source.read(4 * int(np.prod(shape))), "<f4")
        self.read = flat.reshape(shape).astype(np.float32)


def _filled(name: str, arrays: list[npt.NDArray[np.float32]]) -> Network:
    with torch.device("meta"):  # nothing is drawn at random, so nobody's random numbers change
        empty = network(name)
    tensors = zip(empty.state_dict(), map(_as_torch, arrays), strict=True)
    empty.load_state_dict(dict(tensors), assign=True)
    return empty.eval().requires_grad_(False)


def _as_torch(array: npt.NDArray[np.float32]) -> Tensor:
    """Weights with the outputs first: Keras has kernels ``[H, W, in, out]``, matrices, slopes."""
    if array.ndim == 4:
        array = array.transpose(3, 2, 0, 1)
    else:
        array = array.T if array.ndim == 2 else array.reshape(-1)
    return torch.from_numpy(np.ascontiguousarray(array))
