"""Numbers as settings: the checks, and that every constructor of the tables makes them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from metricface.given import above_zero, arrived, as_count, as_number, as_share, zero_or_above
from metricface.memory import CrossBatchMemory
from tests.cases import CLASSIFIERS, LOSSES, MINERS, OTHER_LOSSES

Make = Callable[..., Any]
TABLES: dict[str, Make] = {
    **MINERS,
    **LOSSES,
    **OTHER_LOSSES,
    **CLASSIFIERS,
    "memory": CrossBatchMemory,
}
KINDS = {make.func if isinstance(make, partial) else make: name for name, make in TABLES.items()}
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
NEEDED = {"num_classes": 5, "dim": 4, "size": 8}  # what has no default


def numbers_of(kind: Make) -> Iterator[tuple[str, str, Any]]:
    """Name, annotation and a right value of every setting that is a number."""
    for name, parameter in inspect.signature(kind).parameters.items():
        if parameter.annotation.startswith(("int", "float")) and name != "seed":
            needed = parameter.default is inspect.Parameter.empty
            yield name, parameter.annotation, NEEDED[name] if needed else parameter.default


def made(kind: Make, **settings: Any) -> Any:
    asked = inspect.signature(kind).parameters.items()
    needed = {name: NEEDED[name] for name, each in asked if each.default is inspect.Parameter.empty}
    return kind(**{**needed, **settings})


@every_kind
@pytest.mark.parametrize(
    "value", [True, float("nan"), "0.2", torch.tensor(0.5), [1], 2.5], ids=lambda value: repr(value)
)
def test_settings_that_are_no_numbers_are_refused_with_what_arrived(kind: Make, value: Any) -> None:
    for name, annotation, _ in numbers_of(kind):
        if value == 2.5 and annotation.startswith("float"):
            continue
        with pytest.raises((TypeError, ValueError), match=f"{name}.*, got "):
            made(kind, **{name: value})


@every_kind
def test_a_part_without_values_is_made_with_the_same_settings(kind: Make) -> None:
    with torch.device("meta"):
        built = made(kind)
    assert str(built) == str(made(kind))


@every_kind
def test_numbers_of_numpy_are_numbers(kind: Make) -> None:
    given = {
        name: np.int64(value) if annotation.startswith("int") else np.float64(value)
        for name, annotation, value in numbers_of(kind)
        if isinstance(value, int | float)
    }
    module = made(kind, **given)
    for name, number in given.items():
        kept = getattr(module, name, number.item())
        assert kept == number.item()
        assert not isinstance(kept, np.generic)


@pytest.mark.parametrize("value", [4, np.int64(4), np.uint8(4), np.int16(4)])
def test_integers_of_every_make_count(value: Any) -> None:
    count = as_count("size", value)
    assert (count, type(count)) == (4, int)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (2.5, "got 2.5"),
        (4.0, "got 4.0"),
        (float("nan"), "got nan"),
        (True, "got True"),
        (np.True_, "got True"),
        (None, "got None"),
        ("4", "got the string '4'"),
        (torch.tensor(4), r"got Tensor of shape \(\)"),
        ([4], "got list"),
        (int, "got the class int"),
    ],
)
def test_what_does_not_count_is_told(value: Any, says: str) -> None:
    with pytest.raises(TypeError, match=f"^size must be an integer of at least 1, {says}$"):
        as_count("size", value)


@pytest.mark.parametrize("value", [0.5, Fraction(1, 2), np.float32(0.5), np.float64(0.5)])
def test_numbers_of_every_make_measure(value: Any) -> None:
    for check in (as_number, above_zero, zero_or_above, as_share):
        number = check("margin", value)
        assert (number, type(number)) == (0.5, float)


@pytest.mark.parametrize("value", [True, "0.2", None, torch.tensor(0.2), [0.2], np.array([0.2])])
def test_what_does_not_measure_is_told(value: Any) -> None:
    for check in (as_number, above_zero, zero_or_above, as_share):
        with pytest.raises(TypeError, match=r"^margin must be a number, got "):
            check("margin", value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, 1e39, 10**400, -(10**400)])
def test_what_is_out_of_range_is_told(value: float) -> None:
    for check in (above_zero, zero_or_above, as_share):
        with pytest.raises(ValueError, match="margin must be"):
            check("margin", value)


def test_what_float32_takes_for_zero_is_not_above_it() -> None:
    with pytest.raises(ValueError, match=r"got 1e-46 \(0 in float32\)"):
        above_zero("beta", 1e-46)
    assert zero_or_above("margin", 1e-46) == 1e-46
    with pytest.raises(ValueError, match="got -1e-46"):
        zero_or_above("margin", -1e-46)


def test_a_stranger_is_named_by_its_kind() -> None:
    assert arrived(object()) == "object"
