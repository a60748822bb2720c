"""What may be passed as embeddings, and the errors for what may not."""

from __future__ import annotations

import atexit
import math
from collections import deque
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from metricface.torch_func import mapped
from metricface.transfers import Fetched

#: The longest rows whose squared distances are sure to be finite.
LONGEST = {torch.float32: 9e18, torch.float64: 6e153}

FiniteCheck: TypeAlias = Literal[True, False, "now"]

_finite_check: FiniteCheck = True

_Numbers: TypeAlias = "list[int] | list[float]"
#: What an accelerator was asked, and who raises if the answer is bad.
_asked: deque[tuple[Fetched, Callable[[_Numbers], None]]] = deque()


class set_finite_check:  # noqa: N801  (reads like torch.set_grad_enabled)
    """Switch the search for NaN and infinite embeddings on (the default) or off.

    The check is one sum over the embeddings. On the host what is wrong is raised at once. An
    accelerator is asked, and the host does not wait for its answer: the error is raised at the
    next call of whatever checks embeddings once the answer is there, so mostly a step later.
    ``"now"`` waits for each answer, which tells the call that was at fault and costs time.

    Takes effect at once; used in a ``with`` statement, the old setting returns at its end. Both
    first wait for the answers that are still to come, as does the end of the program: no error is
    lost.

    Args:
        enabled: whether miners and losses look at their embeddings first; ``"now"`` to wait for
            what they see.

    Raises:
        TypeError: neither a truth value nor ``"now"``.
        ValueError: what was wrong in an earlier call.

    Example:
        >>> with set_finite_check(False):
        ...     check_embeddings(torch.tensor([[float("nan")]]))
        >>> check_embeddings(torch.tensor([[float("nan")]]))
        Traceback (most recent call last):
        ...
        ValueError: embeddings hold NaN or infinity, first in row 0 of 1
    """

    def __init__(self, enabled: FiniteCheck) -> None:
        global _finite_check
        if not isinstance(enabled, bool) and enabled != "now":
            raise TypeError(f"the finite check must be True, False or 'now', got {enabled!r}")
        settle()
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
        if error is None:
            settle()


def finite_check() -> bool:
    """Whether NaN and infinite embeddings are looked for; see :class:`set_finite_check`.

    Example:
        >>> finite_check()
        True
    """
    return bool(_finite_check)


def may_look(values: Tensor) -> bool:
    """Whether values are looked at: those of the host always, others while the check is on.

    Example:
        >>> may_look(torch.zeros(1))
        True
    """
    if torch.compiler.is_compiling():
        return False
    return values.device.type == "cpu" or bool(_finite_check)


def below(values: Tensor, count: int, error: Callable[[int, float], Exception]) -> Tensor:
    """Indices from 0 to ``count`` − 1, or the error of the first that is none.

    Args:
        values: int64 ``[N]``.
        count: how many there are to choose from.
        error: as in :func:`refuse`.

    Returns:
        The indices. While an accelerator is asked they are clamped: one out of range would end
        the program before its error could be told.

    Example:
        >>> below(torch.tensor([0, 2]), 3, lambda place, value: ValueError("too large"))
        tensor([0, 2])
    """
    if not may_look(values):
        return values
    bad = (values < 0) | (values >= count)
    refuse(bad, values, error, at_once=count < 1)
    return values if values.device.type == "cpu" else values.clamp(0, max(count - 1, 0))


def refuse(
    bad: Tensor,
    values: Tensor,
    error: Callable[[int, float], Exception],
    *,
    at_once: bool = False,
) -> None:
    """Raise the error of the first bad value, if any: at once, or when an accelerator answers.

    Args:
        bad: which values are, ``[N]``.
        values: ``[N]``, integers or floats.
        error: makes it from a place and the value there; kept until the answer is known, so it
            should hold no tensors.
        at_once: wait for an accelerator's answer.

    Example:
        >>> values = torch.tensor([3, -1])
        >>> refuse(values < 0, values, lambda place, value: ValueError(f"{value} in {place}"))
        Traceback (most recent call last):
        ...
        ValueError: -1 in 1
    """

    def tell(found: _Numbers) -> None:
        if found[0]:
            raise error(int(found[1]), found[2])

    if not len(values) or not may_look(values):
        return
    if values.device.type == "cpu" and not bad.any():
        return
    place = bad.int().argmax(0, keepdim=True)
    found = bad.any()[None], place, values.gather(0, place)
    _ask(torch.cat([each.to(values.dtype) for each in found]), tell, at_once=at_once)


def _ask(numbers: Tensor, tell: Callable[[_Numbers], None], *, at_once: bool = False) -> None:
    """Hand a few numbers to who raises if they are bad: now, or once an accelerator has them."""
    fetched = Fetched(numbers)
    if fetched.arrived() or at_once or _finite_check == "now":
        tell(fetched.wait().tolist())
    else:
        _asked.append((fetched, tell))


def settle(*, wait: bool = True) -> None:
    """Raise what an accelerator has found to be wrong in earlier calls.

    Args:
        wait: for all answers, or take only those that are there.

    Raises:
        ValueError: something was wrong. What else was asked by then is forgotten: it would mostly
            tell of the same rows.
    """
    while _asked and (wait or _asked[0][0].arrived()):
        fetched, tell = _asked.popleft()
        try:
            tell(fetched.wait().tolist())
        except ValueError as error:
            _asked.clear()
            raise ValueError(
                f"{error}; that was in an earlier call, for the answer of an accelerator is not "
                "waited for: embeddings.set_finite_check('now') tells in which"
            ) from None


atexit.register(settle)


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
    if not _finite_check:
        return
    # One number tells: all together are finite and short, unless a row is not.
    dtype, x = working_dtype(embeddings), embeddings.detach()
    if x.element_size() == 1:  # eight bits know no norm
        x = x.to(dtype)
    if x.device.type != "cpu":
        if x.numel():
            longest = torch.stack([each.double() for each in _lengths(x.to(dtype)).max(0)])
            rows = len(x)
            _ask(longest, partial(_tell, name, rows, dtype, squared), at_once=at_once)
        return
    if torch.linalg.vector_norm(x, dtype=dtype).item() < LONGEST[dtype]:
        return
    bad = first_bad_row(x)
    if bad is not None:
        raise _not_finite(name, bad, len(x))
    if squared:
        check_lengths(x.to(dtype), name)


def _tell(name: str, rows: int, dtype: torch.dtype, squared: bool, found: _Numbers) -> None:  # noqa: FBT001
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
