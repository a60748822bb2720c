"""What is wrong with values: told at once on the host, and later by an accelerator.

An accelerator is asked, and the host goes on: the error is raised where its answer is first met.
"""

from __future__ import annotations

import atexit
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from metricface.transfers import Fetched

FiniteCheck: TypeAlias = Literal[True, False, "now"]

_finite_check: FiniteCheck = True

Numbers: TypeAlias = "list[int] | list[float]"
"""An accelerator's answer."""

#: What an accelerator was asked, and who raises if the answer is bad.
_asked: deque[tuple[Fetched, Callable[[Numbers], None]]] = deque()


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
        >>> from metricface.embeddings import check_embeddings
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

    def tell(found: Numbers) -> None:
        if found[0]:
            raise error(int(found[1]), found[2])

    if not len(values) or not may_look(values):
        return
    if values.device.type == "cpu" and not bad.any():
        return
    place = bad.int().argmax(0, keepdim=True)
    found = bad.any()[None], place, values.gather(0, place)
    ask(torch.cat([each.to(values.dtype) for each in found]), tell, at_once=at_once)


def ask(numbers: Tensor, tell: Callable[[Numbers], None], *, at_once: bool = False) -> None:
    """Hand a few numbers to who raises if they are bad: now, or once an accelerator has them.

    Args:
        numbers: ``[N]``, of any device.
        tell: raises ValueError if they are bad; kept until the answer is known, so it should hold
            no tensors.
        at_once: wait for an accelerator's answer.

    Example:
        >>> ask(torch.tensor([1, 2]), print)
        [1, 2]
    """
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
