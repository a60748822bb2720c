"""Measurements of one model, or of several by name, as plots take them."""

from __future__ import annotations

from typing import TypeVar

Measured = TypeVar("Measured")


def by_name(
    found: Measured | dict[str, Measured], kinds: tuple[type, ...], name: str
) -> dict[str, Measured]:
    """Each model's measurement under its name; a single one has none.

    Args:
        found: a measurement, or a dict of them.
        kinds: what a measurement may be.
        name: of the argument, for errors.

    Raises:
        TypeError: something that was not measured, such as the embeddings themselves.
        ValueError: an empty dict.

    Example:
        >>> by_name(0.5, (float,), "found"), by_name({"mine": 0.5}, (float,), "found")
        ({'': 0.5}, {'mine': 0.5})
    """
    named = found if isinstance(found, dict) else {"": found}
    if not named:
        raise ValueError(f"{name} is an empty dict: there is nothing to draw")
    for each in named.values():
        if not isinstance(each, kinds):
            wanted = " or ".join(kind.__name__ for kind in kinds)
            raise TypeError(
                f"{name} must be {wanted} of metricface.evaluation, got {type(each).__name__}"
            )
    # matplotlib leaves what begins with an underscore out of a legend
    return {f" {name}" if name.startswith("_") else name: each for name, each in named.items()}
