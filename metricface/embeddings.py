"""What may be passed as embeddings, and the errors for what may not."""

from __future__ import annotations

import math
from types import TracebackType

import torch
from torch import Tensor

#: The longest rows whose squared distances are sure to be finite.
LONGEST = {torch.float32: 9e18, torch.float64: 6e153}

_finite_check = True


class set_finite_check:  # noqa: N801  (reads like torch.set_grad_enabled)
    """Switch the search for NaN and infinite embeddings on (the default) or off.

    The check is one sum over the embeddings; on an accelerator it makes the host wait for it.
    Takes effect at once; used in a ``with`` statement, the old setting returns at its end.

    Args:
        enabled: whether miners and losses look at their embeddings first.

    Example:
        >>> with set_finite_check(False):
        ...     check_embeddings(torch.tensor([[float("nan")]]))
        >>> check_embeddings(torch.tensor([[float("nan")]]))
        Traceback (most recent call last):
        ...
        ValueError: embeddings hold NaN or infinity, first in row 0 of 1
    """

    def __init__(self, enabled: bool) -> None:  # noqa: FBT001  (its only argument)
        global _finite_check
        self._before = _finite_check
        _finite_check = enabled

    def __enter__(self) -> None:
        """Nothing more to do: the switch was thrown on construction."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Return to the setting from before."""
        global _finite_check
        _finite_check = self._before


def finite_check() -> bool:
    """Whether NaN and infinite embeddings are looked for; see :class:`set_finite_check`.

    Example:
        >>> finite_check()
        True
    """
    return _finite_check


def may_look(values: Tensor) -> bool:
    """Whether values may be looked at: the host does not wait for them, or may wait.

    Example:
        >>> may_look(torch.zeros(1))
        True
    """
    if torch.compiler.is_compiling():
        return False
    return values.device.type == "cpu" or _finite_check


def check_embeddings(
    embeddings: Tensor,
    ref_emb: Tensor | None = None,
    *,
    names: tuple[str, str] = ("embeddings", "ref_emb"),
    squared: bool = False,
) -> None:
    """Raise a clear error unless these are embeddings that can be compared.

    Args:
        embeddings: ``[B, D]``, floating point of any length from 8 bits on, dense.
        ref_emb: ``[R, D]`` on the same device, or None.
        names: what to call the two in an error.
        squared: whether their squared lengths are needed, as where rows are not normalised.

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
    _check_one(embeddings, names[0], squared=squared)
    if ref_emb is None:
        return
    _check_one(ref_emb, names[1], squared=squared)
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


def _check_one(embeddings: Tensor, name: str, *, squared: bool) -> None:
    check_matrix(embeddings, name)
    if not _finite_check or torch.compiler.is_compiling():
        return
    # One number tells: all together are finite and short, unless a row is not.
    dtype, x = working_dtype(embeddings), embeddings.detach()
    if x.element_size() == 1:  # eight bits know no norm
        x = x.to(dtype)
    if torch.linalg.vector_norm(x, dtype=dtype).item() < LONGEST[dtype]:
        return
    bad = first_bad_row(x)
    if bad is not None:
        raise ValueError(f"{name} hold NaN or infinity, first in row {bad} of {len(x)}")
    if squared:
        check_lengths(x.to(dtype), name)


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
    largest = x.abs().amax(1, keepdim=True) if x.numel() else x.new_zeros(len(x), 1)
    near_one = x / torch.where(largest > 0, largest, 1.0)
    length = torch.linalg.vector_norm(near_one, dim=1).double() * largest.squeeze(1).double()
    long = (length > LONGEST[x.dtype]).nonzero()
    if len(long):
        row = int(long[0])
        raise ValueError(
            f"row {first_row + row} of the {name} is {float(length[row]):.3g} long, and its "
            f"squared distances overflow {x.dtype}: let the distance normalise, scale the "
            "embeddings, or pass float64"
        )


def working_dtype(*tensors: Tensor) -> torch.dtype:
    """The dtype distances are computed in: float64 stays, everything shorter is float32.

    Example:
        >>> working_dtype(torch.zeros(1, dtype=torch.bfloat16))
        torch.float32
    """
    double = any(tensor.dtype == torch.float64 for tensor in tensors)
    return torch.float64 if double else torch.float32
