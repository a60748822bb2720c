"""An accelerator that every machine has: the CPU under another name, which counts what waits.

Tensors on it are computed by the processor, but they are on a device of their own: with one of the
host they meet only where a real accelerator's would, and every operation for which the host of a
real one has to wait is counted. It is registered with torch for good, so each use of it is a
process of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "pretend"
CPU = torch.device("cpu")
_KERNELS: list[torch.library.Library] = []  # they go when it goes

aten = torch.ops.aten

#: The size of what they return, or what they return, is known to the device alone.
WAITS = {
    aten._local_scalar_dense.default,
    aten.nonzero.default,
    aten.masked_select.default,
    aten.bincount.default,
    aten.histc.default,
    aten.is_nonzero.default,
    aten.equal.default,
    aten._unique2.default,
    aten.unique_consecutive.default,
    aten.unique_dim.default,
}
INDEXING = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default}
MOVES = {aten._to_copy.default, aten.copy_.default}


class Event:
    """Whether the device has come so far; it comes only when the host waits for it."""

    pending: ClassVar[list[Event]] = []

    def __init__(self) -> None:
        self.done = True

    def record(self, stream: None) -> None:
        self.done = False
        Event.pending.append(self)

    def query(self) -> bool:
        return self.done

    def synchronize(self) -> None:
        if not self.done:
            _count("an event")


class Module:
    """What ``torch.pretend`` has to offer."""

    Event = Event

    @staticmethod
    def is_available() -> bool:
        return True

    @staticmethod
    def is_initialized() -> bool:
        return True

    @staticmethod
    def current_device() -> int:
        return 0

    @staticmethod
    def device_count() -> int:
        return 1

    @staticmethod
    def current_stream(device: torch.device) -> None:
        return None

    @staticmethod
    def get_amp_supported_dtype() -> list[torch.dtype]:
        return [torch.bfloat16]

    @staticmethod
    def _is_in_bad_fork() -> bool:
        return False

    @staticmethod
    def manual_seed_all(seed: int) -> None:
        pass


class There(Tensor):
    """A tensor on the device; ``held`` are its values."""

    held: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> There:
        return torch.Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=torch.device(NAME, 0),
        )

    def __init__(self, inner: Tensor) -> None:
        self.held = inner

    def tolist(self) -> Any:
        """As torch has it for all but classes of others: a copy to the host."""
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return carried_out(func, args, kwargs or {})


class Waits(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within it the device exists, and ``counted`` says what the host waited for."""

    active: Waits

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counted: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return carried_out(func, args, kwargs or {})


def carried_out(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """An operation, with what it takes and makes in its place."""
    leaves, shape = tree_flatten((args, kwargs))
    there = [leaf for leaf in leaves if isinstance(leaf, There)]
    target = kwargs.get("device")
    made_there = _is_there(target) if target is not None else bool(there)
    if not there and not made_there:
        return func(*args, **kwargs)
    here = [leaf for leaf in leaves if isinstance(leaf, Tensor) and not isinstance(leaf, There)]
    if func in MOVES:
        crosses = bool(here) if func is aten.copy_.default else made_there != bool(there)
        last = args[2] if func is aten.copy_.default and len(args) > 2 else False
        if crosses and not kwargs.get("non_blocking", last):
            _count(func)
    elif any(tensor.ndim for tensor in here):
        raise RuntimeError(f"{func} met tensors of the host and of the device")
    elif _waits(func, args, kwargs):
        _count(func)
    inner = [leaf.held if isinstance(leaf, There) else leaf for leaf in leaves]
    inner_args, inner_kwargs = tree_unflatten(inner, shape)
    if target is not None:
        inner_kwargs["device"] = CPU
    result = func(*inner_args, **inner_kwargs)
    if func is aten._local_scalar_dense.default or not made_there:
        return result
    known = {id(leaf.held): leaf for leaf in there}

    def named(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        same = known.get(id(value))
        return same if same is not None and same.shape == value.shape else There(value)

    return tree_map(named, result)


def _is_there(device: Any) -> bool:
    return torch.device(device).type == NAME


def _waits(func: Any, args: Any, kwargs: dict[str, Any]) -> bool:
    if func in INDEXING:
        return any(
            index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1]
        )
    if func is aten.repeat_interleave.Tensor:
        return kwargs.get("output_size") is None
    return func in WAITS


def _count(what: Any) -> None:
    Waits.active.counted[str(what)] += 1
    caught_up()  # whoever waits for one thing waits for all before it


def caught_up() -> None:
    """The device has done all that it was asked so far."""
    while Event.pending:
        Event.pending.pop().done = True


@contextmanager
def waits() -> Iterator[Counter[str]]:
    """The device, and what the host waits for within."""
    with Waits() as mode:
        Waits.active = mode
        yield mode.counted


def there(tensor: Tensor) -> Tensor:
    """The same values on the device."""
    return There(tensor.detach().clone())


def here(tensor: Tensor) -> Tensor:
    """The values of a tensor on the device, which fails for one that is not there."""
    assert isinstance(tensor, There), f"on {tensor.device}"
    return tensor.held


def register() -> None:
    """Make the device known to torch, for the rest of this process."""
    _setup_privateuseone_for_python_backend(NAME, Module())
    # torch.tensor(…, device=…) makes a tensor of the host and copies it, past all modes.
    for name, kernel in (("empty_strided", _empty), ("_copy_from", _copied)):
        library = torch.library.Library("aten", "IMPL")  # type: ignore[no-untyped-call]
        library.impl(name, kernel, "PrivateUse1")  # type: ignore[no-untyped-call]
        _KERNELS.append(library)


def _empty(size: list[int], stride: list[int], **options: Any) -> Tensor:
    return There(torch.empty_strided(size, stride, dtype=options.get("dtype"), device=CPU))


def _copied(source: Tensor, target: Tensor, non_blocking: bool = False) -> Tensor:
    assert isinstance(target, There)
    _count("torch.tensor")
    target.held.copy_(source)
    return target
