"""A pickle of plain values, read without anything in it being executed."""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


def read_plain_pickle(path: Path) -> Any:
    """Lists, tuples, bytes, text, booleans and numbers, and NumPy arrays of numbers; nothing else.

    A pickle is a program. Of what such a program may call, only what rebuilds an array is let
    through, and that is done here: nothing of the file is executed. Pickles of Python 2 are read
    too, their strings as bytes.

    Args:
        path: the file.

    Returns:
        What it holds; an array as a :class:`StoredArray`.

    Raises:
        OSError: it cannot be read.
        ValueError: no pickle, a truncated one, or one that holds something else, which is named.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "some.bin"
        >>> length = file.write_bytes(pickle.dumps([b"image", True]))
        >>> read_plain_pickle(file)
        [b'image', True]
    """
    data = path.read_bytes()
    if not data:
        raise ValueError(f"{path} is empty")
    try:
        _check_places(data)
        return _Plain(io.BytesIO(data), encoding="bytes").load()
    except _RefusedError as error:
        raise ValueError(f"{path} {error}; nothing of it was executed") from None
    except MemoryError:
        raise ValueError(f"{path} asks for more memory than there is: damaged") from None
    except Exception as error:
        # A damaged pickle may raise almost anything: EOFError, KeyError, AttributeError, …
        raise ValueError(f"{path} is no whole pickle: {type(error).__name__}: {error}") from None


class _RefusedError(Exception):
    """What a pickle holds that is not let through."""


class _Kind:
    """The kind of an array's numbers, as a pickle describes it."""

    __slots__ = ("dtype",)

    def __init__(self, code: bytes | str, *_: object) -> None:
        text = code.decode("ascii") if isinstance(code, bytes) else str(code)
        if text[:1] not in "biuf" or not text[1:].isdigit():
            raise _RefusedError(f"holds an array of {text!r}, and only numbers are read")
        self.dtype = np.dtype(text)

    def __setstate__(self, state: Any) -> None:
        if state[1] in (">", b">"):
            self.dtype = self.dtype.newbyteorder(">")
        elif state[1] in ("<", b"<"):
            self.dtype = self.dtype.newbyteorder("<")


class StoredArray:
    """An array of a pickle, ``value`` once all of it has been read."""

    __slots__ = ("value",)

    def __init__(self, *_: object) -> None:
        self.value: npt.NDArray[Any] = np.empty(0)

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, by_columns, data = state
        self.value = _numbers(kind, data).reshape(shape, order="F" if by_columns else "C")


def _numbers(kind: object, data: object) -> npt.NDArray[Any]:
    if not isinstance(kind, _Kind) or not isinstance(data, bytes | bytearray):
        raise _RefusedError("holds an array of objects, and only numbers are read")
    return np.frombuffer(bytes(data), kind.dtype)


def _of_buffer(data: object, kind: object, shape: Any, order: Any) -> StoredArray:
    """As protocol 5 writes arrays."""
    stored = StoredArray()
    stored.value = _numbers(kind, data).reshape(shape, order=order)
    return stored


def _scalar(kind: object, data: object) -> Any:
    return _numbers(kind, data)[0].item()


def _encoded(text: object, name: object) -> bytes:
    """As Python 3 writes bytes for Python 2."""
    if not isinstance(text, str) or name not in ("latin1", b"latin1"):
        raise _RefusedError("holds text in an encoding that is not read")
    return text.encode("latin1")


class _StandIn:
    """What a pickle may name, and what is done in its place; it cannot be changed by one."""

    __slots__ = ("_does",)

    def __init__(self, does: Callable[..., object] | None) -> None:
        self._does = does

    def __call__(self, *arguments: object) -> object:
        if self._does is None:
            raise _RefusedError("makes an array in a way that is not read")
        return self._does(*arguments)

    def __setstate__(self, state: object) -> None:
        raise _RefusedError("changes what it is read with")


_MODULES = ("numpy.core", "numpy._core")
_ADMITTED = {
    **{(f"{module}.multiarray", "_reconstruct"): _StandIn(StoredArray) for module in _MODULES},
    **{(f"{module}.multiarray", "scalar"): _StandIn(_scalar) for module in _MODULES},
    **{(f"{module}.numeric", "_frombuffer"): _StandIn(_of_buffer) for module in _MODULES},
    ("numpy", "dtype"): _StandIn(_Kind),
    ("numpy", "ndarray"): _StandIn(None),
    ("_codecs", "encode"): _StandIn(_encoded),
}


class _Plain(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """A stand-in for what rebuilds an array; whatever else is asked for is refused."""
        found = _ADMITTED.get((module, name))
        if found is None:
            raise _RefusedError(
                f"asks for {module}.{name}, and only plain values and arrays are read"
            )
        return found

    def persistent_load(self, pid: object) -> Any:
        """Refused as well."""
        raise _RefusedError("refers to something outside of it")


def _check_places(data: bytes) -> None:
    """Raise where a value is to be remembered at a place that no file of this size needs.

    The reader would make room for all places before it.
    """
    for operation, place, _ in pickletools.genops(data):
        if operation.name.endswith("PUT") and isinstance(place, int) and place > len(data):
            raise _RefusedError(f"wants room for {place} values in {len(data)} bytes")
