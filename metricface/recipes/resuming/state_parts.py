"""Load a saved state part by part, so that the one that does not fit has a name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch.optim import Optimizer

_SHOWN = 300  # letters of an error that lists every weight of a network


def load_part(
    state: Mapping[str, Any], name: str, load: Callable[[Any], object], *, of: str = ""
) -> None:
    """Load one part of a state.

    Args:
        state: the parts by name.
        name: of this one.
        load: takes it.
        of: what the state is called.

    Raises:
        ValueError: the part is missing or does not fit.

    Example:
        >>> from torch import nn
        >>> load_part({}, "model", nn.Linear(2, 1).load_state_dict, of="training")
        Traceback (most recent call last):
        ...
        ValueError: training.model is missing
    """
    called = f"{of}.{name}" if of else name
    if not isinstance(state, Mapping):
        raise ValueError(f"it is a {type(state).__name__}, not a dict of parts")  # noqa: TRY004
    if name not in state:
        raise ValueError(f"{called} is missing")
    try:
        load(state[name])
    except Exception as error:  # each part has errors of its own kind
        raise ValueError(f"{called} does not fit: {_why(error)}") from error


def load_optimizer(optimizer: Optimizer, state: dict[str, Any]) -> None:
    """As ``optimizer.load_state_dict``, which takes the state of any other kind of optimizer.

    Args:
        optimizer: to go on.
        state: of one that was made alike.

    Raises:
        ValueError: a setting that this kind has not, or another number of groups or parameters.
    """
    known = {name for group in optimizer.param_groups for name in group}
    foreign = sorted({name for group in state["param_groups"] for name in group} - known)
    if foreign:
        raise ValueError(f"{type(optimizer).__name__} has no {', '.join(foreign)}")
    optimizer.load_state_dict(state)


def _why(error: Exception) -> str:
    """In one line."""
    if isinstance(error, KeyError) and error.args:
        return f"{error.args[0]} is missing"
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
