"""Tensors that torch saved, read without running anything that a file could bring along."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

_NAMES = ("embeddings", "labels", "names")


def read_tensors(file: Path, *, alone: str) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a ``.pt`` file by name: of a dict, or of one tensor.

    Args:
        file: written by ``torch.save``.
        alone: what to call what is no dict.

    Raises:
        ValueError: a damaged file, or one that holds more than tensors and plain values.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     torch.save({"embeddings": torch.eye(1), "labels": ["anna"]}, Path(folder, "x.pt"))
        ...     read_tensors(Path(folder, "x.pt"), alone="embeddings")
        {'embeddings': array([[1.]], dtype=float32), 'labels': array(['anna'], dtype='<U4')}
    """
    try:
        held = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "numpy" in str(error):
            raise ValueError(
                f"{file} holds arrays or numbers of numpy, which would have to be unpickled: save "
                "torch.from_numpy(array), and labels and names as array.tolist()"
            ) from error
        raise ValueError(
            f"{file} is damaged, or holds more than tensors and plain values, which would have to "
            "be unpickled: save a tensor, or a dict with embeddings, labels and names"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{file} is damaged or no .pt file: {line}") from error
    parts = held if isinstance(held, dict) else {alone: held}
    return {name: _array(parts[name], name, file) for name in _NAMES if name in parts}


def _array(value: object, name: str, file: Path) -> npt.NDArray[Any]:
    """A tensor, or a list of plain values, as an array; half precision becomes float32."""
    if isinstance(value, Tensor):
        if value.layout != torch.strided:
            raise ValueError(f"{file}: {name} is a sparse tensor, save {name}.to_dense()")
        plain = value.detach()
        return np.asarray((plain.float() if plain.dtype == torch.bfloat16 else plain).numpy())
    if isinstance(value, list | tuple) and {type(each) for each in value} <= {int, str}:
        return np.array(value, dtype=None if value else np.int64)
    raise ValueError(f"{file}: {name} must be a tensor, or a list of strings, got {type(value)}")
