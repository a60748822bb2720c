"""What may be passed as embeddings, and the errors for what may not."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor

from metricface.refusals import Numbers, ask, finite_check, set_finite_check, settle
from metricface.torch_func import mapped

__all__ = [
    "check_embeddings",
    "check_lengths",
    "check_matrix",
    "finite_check",
    "first_bad_row",
    "set_finite_check",
    "working_dtype",
]

#: The longest rows whose squared distances are sure to be finite.
LONGEST = {torch.float32: 9e18, torch.float64: 6e153}


def check_embeddings(
    embeddings: Tensor,
    ref_emb: Tensor | None = None,
    *,
    names: tuple[str, str] = ("embeddings", "ref_emb"),
    squared: bool = False,
    at_once: bool = False,
) -> None:
    """Raise a clear error unless these are embeddings that can be compared.

    Args:
        embeddings: ``[B, D]``, floating point of any length from 8 bits on, dense.
        ref_emb: ``[R, D]`` on the same device, or None.
        names: what to call the two in an error.
        squared: whether their squared lengths are needed, as where rows are not normalised.
        at_once: wait for an accelerator's answer, as where the host waits for it in any case.

    Raises:
        TypeError: not floating-point tensors; sparse or nested ones.
        ValueError: not matrices, no values (the meta device), dimensions or devices that
            differ, NaN or infinite values, rows whose squared length overflows.

    Example:
        >>> check_embeddings(torch.zeros(4, 2), torch.zeros(5, 3))
        Traceback (most recent call last):
        ...
        ValueError: embeddings have dimension 2 but ref_emb has 3
    """
    _check_one(embeddings, names[0], squared=squared, at_once=at_once)
    if ref_emb is None:
        return
    _check_one(ref_emb, names[1], squared=squared, at_once=at_once)
    ours, theirs = embeddings.shape[1], ref_emb.shape[1]
    if ours != theirs:
        raise ValueError(f"{names[0]} have dimension {ours} but {names[1]} has {theirs}")
    if embeddings.device != ref_emb.device:
        raise ValueError(f"{names[0]} are on {embeddings.device}, {names[1]} on {ref_emb.device}")


def check_matrix(embeddings: Tensor, name: str) -> None:
    """Raise unless this is a dense matrix of floating point numbers, whatever they are.

    Args:
        embeddings: ``[B, D]``.
        name: what to call it in an error.

    Raises:
        TypeError: not a floating-point tensor; a sparse or nested one.
        ValueError: not a matrix; no values (the meta device).

    Example:
        >>> check_matrix(torch.zeros(3), "gallery")
        Traceback (most recent call last):
        ...
        ValueError: gallery must have shape [rows, dim], got (3,)
    """
    if not isinstance(embeddings, Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(embeddings).__name__}")
    if mapped(embeddings):
        raise TypeError(
            f"{name} come from torch.func.vmap, which is not supported: what is mined differs in "
            "length from batch to batch; call it for one batch after the other"
        )
    if embeddings.is_nested or embeddings.layout != torch.strided:
        what = "a nested one" if embeddings.is_nested else f"layout {embeddings.layout}"
        advice = "pad it" if embeddings.is_nested else f"{name}.to_dense() makes one"
        raise TypeError(f"{name} must be a dense tensor, got {what}; {advice}")
    if not embeddings.is_floating_point():
        raise TypeError(f"{name} must be floating point, got {embeddings.dtype}")
    if embeddings.ndim != 2:
        raise ValueError(f"{name} must have shape [rows, dim], got {tuple(embeddings.shape)}")
    if embeddings.is_meta:
        raise ValueError(f"{name} must hold values, got a tensor on the meta device")


def _check_one(embeddings: Tensor, name: str, *, squared: bool, at_once: bool) -> None:
    check_matrix(embeddings, name)
    if torch.compiler.is_compiling():
        return
    settle(wait=False)
    if not finite_check():
        return
    # One number tells: all together are finite and short, unless a row is not.
    dtype, x = working_dtype(embeddings), embeddings.detach()
    if x.element_size() == 1:  # eight bits know no norm
        x = x.to(dtype)
    if x.device.type != "cpu":
        if x.numel():
            longest = torch.stack([each.double() for each in _lengths(x.to(dtype)).max(0)])
            rows = len(x)
            ask(longest, partial(_tell, name, rows, dtype, squared), at_once=at_once)
        return
    if torch.linalg.vector_norm(x, dtype=dtype).item() < LONGEST[dtype]:
        return
    bad = first_bad_row(x)
    if bad is not None:
        raise _not_finite(name, bad, len(x))
    if squared:
        check_lengths(x.to(dtype), name)


def _tell(name: str, rows: int, dtype: torch.dtype, squared: bool, found: Numbers) -> None:  # noqa: FBT001
    """Raise if the longest row, or one that is not finite, is none to compare."""
    length, row = found[0], int(found[1])
    if math.isnan(length):
        raise _not_finite(name, row, rows)
    if squared and length > LONGEST[dtype]:
        raise _too_long(name, row, length, dtype)


def _not_finite(name: str, row: int, rows: int) -> ValueError:
    return ValueError(f"{name} hold NaN or infinity, first in row {row} of {rows}")


def _too_long(name: str, row: int, length: float, dtype: torch.dtype) -> ValueError:
    return ValueError(
        f"row {row} of the {name} is {length:.3g} long, and its squared distances overflow "
        f"{dtype}: let the distance normalise, scale the embeddings, or pass float64"
    )


def _lengths(x: Tensor) -> Tensor:
    """The length of each row in float64, NaN where it is not finite, ``[N]``."""
    largest = x.abs().amax(1, keepdim=True)
    near_one = x / torch.where(largest > 0, largest, 1.0)
    length: Tensor = torch.linalg.vector_norm(near_one, dim=1).double()
    return length * largest.squeeze(1).double()


def first_bad_row(x: Tensor) -> int | None:
    """The first row that holds NaN or infinity, if any.

    Example:
        >>> first_bad_row(torch.tensor([[1.0], [float("inf")]]))
        1
    """
    # A sum is finite unless a term is not, or the sum itself overflows.
    if math.isfinite(x.sum(dtype=torch.float64).item()):
        return None
    bad = (~torch.isfinite(x)).any(1).nonzero()
    return int(bad[0]) if len(bad) else None


def check_lengths(x: Tensor, name: str, *, first_row: int = 0) -> None:
    """Raise unless the squared distance of any two rows is a finite number.

    Args:
        x: finite float32 or float64, ``[N, D]``.
        name: what to call them in an error.
        first_row: the number of the first of these rows.

    Raises:
        ValueError: a row is too long.

    Example:
        >>> check_lengths(torch.tensor([[1.0], [1e20]]), "embeddings")
        Traceback (most recent call last):
        ...
        ValueError: row 1 of the embeddings is 1e+20 long, and its squared distances overflow \
torch.float32: let the distance normalise, scale the embeddings, or pass float64
    """
    if not x.numel():
        return
    length = _lengths(x)
    long = (length > LONGEST[x.dtype]).nonzero()
    if len(long):
        row = int(long[0])
        raise _too_long(name, first_row + row, float(length[row]), x.dtype)


def working_dtype(*tensors: Tensor) -> torch.dtype:
    """The dtype distances are computed in: float64 stays, everything shorter is float32.

    Example:
        >>> working_dtype(torch.zeros(1, dtype=torch.bfloat16))
        torch.float32
    """
    double = any(tensor.dtype == torch.float64 for tensor in tensors)
    return torch.float64 if double else torch.float32
