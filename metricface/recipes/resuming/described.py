"""Settings as plain values that can be kept in a file and compared."""

from __future__ import annotations

import inspect
import re
import zlib
from collections.abc import Mapping, Set
from enum import Enum
from functools import partial
from itertools import zip_longest
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

#: A name of this library: the package, the files in it, and what it is called there.
_PLACE = re.compile(r"^(metricface\.\w+\.)(?:\w+\.)*(?=\w+(?:\.<locals>|$))")
_MANY = 100  # values beyond which a checksum stands for them


def described(thing: object) -> Any:
    """Plain values that tell one setting from another.

    Of an object its class and whatever it remembers of its constructors' arguments, of a module
    also its parts. Parameters and buffers change while training, so of them the shape is told,
    and the value only where the module keeps the one it began with as ``initial_<name>``. Of a
    function the name, and the numbers and strings it closes over: two lambdas that differ in
    their text alone look the same, ``functools.partial`` does not.

    Example:
        >>> from metricface.losses import TripletLoss
        >>> described(TripletLoss(margin=0.5))["margin"]
        0.5
        >>> described({"sizes": (3, nn.Parameter(torch.zeros(2)))})
        {'sizes': [3, 'tensor [2]']}
    """
    return _described(thing, frozenset())


def changes(old: Any, new: Any, name: str = "") -> list[str]:
    """Where two descriptions differ, one phrase for each place.

    Names of this library are compared without the files they lie in, which may move.

    Example:
        >>> changes({"lr": 0.1, "loss": {"margin": 1}}, {"lr": 0.1, "loss": {"margin": 2}})
        ['loss.margin was 1, is 2']
        >>> changes(["a", "b", "c"], ["a", "c"], "layers")
        ['layers had 3 entries, have 2', "layers[1] was 'b', is 'c'"]
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        found = []
        for key in dict.fromkeys([*old, *new]):
            where = f"{name}.{key}" if name else str(key)
            found += changes(old.get(key), new.get(key), where)
        return found
    if isinstance(old, list) and isinstance(new, list):
        pairs = enumerate(zip_longest(old, new))
        found = [phrase for n, (a, b) in pairs for phrase in changes(a, b, f"{name}[{n}]")]
        if len(old) == len(new):
            return found
        return [f"{name} had {len(old)} entries, have {len(new)}", *found[:1]]
    return (
        []
        if _placeless(old) == _placeless(new)
        else [f"{name} was {_short(old)}, is {_short(new)}"]
    )


def _described(thing: object, within: frozenset[int]) -> Any:
    """As :func:`described`; ``within`` are the objects this one is a part of."""
    if isinstance(thing, np.generic):
        return thing.item()
    if isinstance(thing, (Enum, torch.device, torch.dtype, PurePath)):
        return str(thing)
    if thing is None or isinstance(thing, (bool, int, float, str)):
        return thing
    if isinstance(thing, (Tensor, np.ndarray)):
        return _values(thing)
    if isinstance(thing, Mapping):
        return {str(key): _described(value, within) for key, value in thing.items()}
    if isinstance(thing, Set):
        return sorted(repr(_described(value, within)) for value in thing)
    if isinstance(thing, (list, tuple, nn.ModuleList)):
        several = [_described(value, within) for value in thing]
        return several if len(several) <= _MANY else _sum(several)
    if isinstance(thing, partial):
        given = {"call": thing.func, "args": thing.args, **thing.keywords}
        return _described(given, within)
    if inspect.isroutine(thing) or isinstance(thing, type):
        return _function(thing, within)
    return "itself" if id(thing) in within else _object(thing, within | {id(thing)})


def _object(thing: object, within: frozenset[int]) -> dict[str, Any]:
    kind = type(thing)
    state: dict[str, Tensor] = {}
    values = {name: getattr(thing, name) for name in _arguments(kind) if hasattr(thing, name)}
    if isinstance(thing, nn.Module):
        state = dict([*thing.named_parameters(recurse=False), *thing.named_buffers(recurse=False)])
        values = {**dict(thing.named_children()), **values}
        values |= {name: getattr(thing, f"initial_{name}", _shape(t)) for name, t in state.items()}
    told = {name: _described(value, within) for name, value in values.items()}
    return {"class": f"{kind.__module__}.{kind.__qualname__}", **told}


def _arguments(kind: type) -> list[str]:
    """Names of the constructor's arguments, those of the base classes included."""
    found: dict[str, None] = {}
    for base in kind.__mro__:
        if inspect.isfunction(vars(base).get("__init__")):
            parameters = inspect.signature(vars(base)["__init__"]).parameters
            found |= dict.fromkeys(parameters)
    return list(found)


def _function(thing: Any, within: frozenset[int]) -> Any:
    name = f"{thing.__module__}.{thing.__qualname__}"
    if inspect.ismethod(thing):
        return {"call": name, "of": _described(thing.__self__, within)}
    names = getattr(getattr(thing, "__code__", None), "co_freevars", ())
    values = [cell.cell_contents for cell in getattr(thing, "__closure__", None) or ()]
    told = {
        name: _described(value, within)
        for name, value in zip(names, values, strict=True)
        if isinstance(value, (int, float, str))
    }
    return {"call": name, **told} if told else name


def _values(thing: Tensor | np.ndarray[Any, Any]) -> Any:
    """Few values as they are, many as their shape."""
    size = thing.numel() if isinstance(thing, Tensor) else thing.size
    if isinstance(thing, nn.Parameter) or size > _MANY:
        return _shape(thing)
    return thing.tolist()


def _shape(thing: Tensor | np.ndarray[Any, Any]) -> str:
    return f"{'tensor' if isinstance(thing, Tensor) else 'array'} {list(thing.shape)}"


def _sum(values: list[Any]) -> str:
    return f"{len(values)} values, checksum {zlib.crc32(repr(values).encode()):08x}"


def _placeless(value: object) -> object:
    """A name without its file, since a later version may have moved it to another."""
    return _PLACE.sub(r"\1", value) if isinstance(value, str) else value


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
