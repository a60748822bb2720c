"""Numbers given as settings, and the errors for what is no such number."""

from __future__ import annotations

import math
from numbers import Integral, Real

import numpy as np
import torch


def arrived(value: object) -> str:
    """What somebody gave, in a few words for an error.

    Example:
        >>> [arrived(value) for value in (2.5, True, "cosine", dict, torch.zeros(3))]
        ['2.5', 'True', "the string 'cosine'", 'the class dict', 'Tensor of shape (3,)']
    """
    if isinstance(value, str):
        return f"the string {value!r}"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if value is None or isinstance(value, Real | np.generic):
        return str(value)
    shape = getattr(value, "shape", None)
    of_shape = f" of shape {tuple(shape)}" if isinstance(shape, tuple) else ""
    return f"{type(value).__name__}{of_shape}"


def as_count(name: str, value: object, least: int = 1, *, otherwise: str = "") -> int:
    """A setting that counts something, as a plain int; integers of numpy are integers.

    Args:
        name: of the setting, for an error.
        value: what was given.
        least: the smallest there may be.
        otherwise: what else may be given, for an error.

    Raises:
        TypeError: not an integer; a truth value is none.
        ValueError: below the smallest.

    Example:
        >>> as_count("per_anchor", 2.5)
        Traceback (most recent call last):
        ...
        TypeError: per_anchor must be an integer of at least 1, got 2.5
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(
            f"{name} must be an integer of at least {least}{otherwise}, got {arrived(value)}"
        )
    number = int(value)
    if number < least:
        raise ValueError(f"{name} must be at least {least}{otherwise}, got {number}")
    return number


def as_count_or_none(name: str, value: object) -> int | None:
    """As :func:`as_count`, or None.

    Example:
        >>> as_count_or_none("per_anchor", 0)
        Traceback (most recent call last):
        ...
        ValueError: per_anchor must be at least 1 or None, got 0
    """
    return None if value is None else as_count(name, value, otherwise=" or None")


def as_number(name: str, value: object) -> float:
    """A setting that measures something, as a plain float, of any size; NaN included.

    Args:
        name: of the setting, for an error.
        value: what was given.

    Raises:
        TypeError: not a number; a truth value is none, nor is a tensor.
        ValueError: an integer beyond every float.

    Example:
        >>> as_number("margin", "0.2")
        Traceback (most recent call last):
        ...
        TypeError: margin must be a number, got the string '0.2'
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {arrived(value)}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name} must be finite, got hundreds of digits") from None


def as_finite(name: str, value: object) -> float:
    """A setting of any size but infinity, as a plain float.

    Args:
        name: of the setting, for an error.
        value: what was given.

    Raises:
        TypeError: as :func:`as_number`.
        ValueError: infinite or NaN.

    Example:
        >>> as_finite("bias", -10)
        -10.0
    """
    number = as_number(name, value)
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite, got {value}")
    return number


def above_zero(name: str, value: object) -> float:
    """A number above 0 and finite, in float32 as well, where most of them end up.

    Example:
        >>> above_zero("beta", 1e39)
        Traceback (most recent call last):
        ...
        ValueError: beta must be above 0 and finite, got 1e+39 (inf in float32)
    """
    number = as_number(name, value)
    held = _in_float32(number)
    if not 0 < held < math.inf:
        lost = f" ({held:g} in float32)" if 0 < number < math.inf else ""
        raise ValueError(f"{name} must be above 0 and finite, got {number}{lost}")
    return number


def zero_or_above(name: str, value: object) -> float:
    """A number of at least 0 and finite, in float32 as well.

    Example:
        >>> zero_or_above("margin", float("nan"))
        Traceback (most recent call last):
        ...
        ValueError: margin must be 0 or above and finite, got nan
    """
    number = as_number(name, value)
    if not 0 <= _in_float32(number) < math.inf or number < 0:
        lost = " (inf in float32)" if 0 <= number < math.inf else ""
        raise ValueError(f"{name} must be 0 or above and finite, got {number}{lost}")
    return number


def as_share(name: str, value: object) -> float:
    """A number from 0 to 1.

    Example:
        >>> as_share("alpha", 1.5)
        Traceback (most recent call last):
        ...
        ValueError: alpha must be between 0 and 1, got 1.5
    """
    number = as_number(name, value)
    if not 0 <= number <= 1:
        raise ValueError(f"{name} must be between 0 and 1, got {number}")
    return number


def check_instance(name: str, value: object) -> None:
    """Refuse a class where one of its instances is wanted.

    Args:
        name: of the argument, for an error.
        value: what was given.

    Raises:
        TypeError: a class.

    Example:
        >>> check_instance("sampler", dict)
        Traceback (most recent call last):
        ...
        TypeError: sampler must be an instance, got the class dict: give dict(…)
    """
    if isinstance(value, type):
        raise TypeError(
            f"{name} must be an instance, got {arrived(value)}: give {value.__name__}(…)"
        )


def as_pair(name: str, value: object) -> tuple[object, object]:
    """Two settings in one, lower and upper end.

    Example:
        >>> as_pair("positive_rank", 3)
        Traceback (most recent call last):
        ...
        TypeError: positive_rank must be a pair (lo, hi), got 3
    """
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise TypeError(f"{name} must be a pair (lo, hi), got {arrived(value)}")
    low, high = value
    return low, high


def _in_float32(number: float) -> float:
    return float(torch.tensor(number, dtype=torch.float32, device="cpu"))
