"""Random numbers that nothing outside can disturb."""

from __future__ import annotations

from numbers import Integral

import torch
from torch import Tensor, nn

from metricface.given import arrived
from metricface.splitmix import mixed, shifted

_WORD = (1 << 64) - 1
_ANCHOR_STRIDE = 0x9E3779B97F4A7C15
_SLOT_STRIDE = 0xD1342543DE82EF95


class Draws(nn.Module):
    """Uniform random numbers as a pure function of (seed, call, anchor, slot).

    A miner asks for number ``slot`` of anchor ``a``; the same question has the same answer
    whatever the block size, the device, or other users of random numbers did. The state is two
    integers, kept in ``state_dict``: a resumed run draws what the uninterrupted one would have.
    What has drawn cannot be computed again within ``torch.utils.checkpoint``: see
    :func:`random_words`.

    Args:
        seed: any integer of up to 64 bits.

    Example:
        >>> draws = Draws(seed=0)
        >>> key = draws.next_key()
        >>> anchor, slot = torch.tensor([0, 0, 1]), torch.tensor([0, 1, 0])
        >>> words = random_words(key, anchor, slot)
        >>> bool((words == random_words(key, anchor, slot)).all())
        True

    Reference: Steele et al., "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014
    (the mixing function).
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        given: object = seed
        if isinstance(given, bool) or not isinstance(given, Integral):
            raise TypeError(f"seed must be an integer, got {arrived(given)}")
        self.seed, self.calls = int(given), 0

    def next_key(self) -> int:
        """A fresh 64-bit key for one call of a miner; within a backward pass the last one."""
        self.calls += not _in_backward()
        seeded = _mixed_word(self.seed * _ANCHOR_STRIDE + _SLOT_STRIDE)
        return _mixed_word(seeded + self.calls * _SLOT_STRIDE)

    def get_extra_state(self) -> Tensor:
        """Seed and number of calls so far."""
        return torch.tensor([_signed(self.seed & _WORD), self.calls], device="cpu")

    def set_extra_state(self, state: Tensor) -> None:
        """Continue from a saved state."""
        self.seed, self.calls = (int(value) for value in state)

    def extra_repr(self) -> str:
        """The seed."""
        return f"seed={self.seed}"


def random_words(key: int, anchor: Tensor, slot: Tensor) -> Tensor:
    """Random 64-bit words for (anchor, slot), broadcast against each other, int64.

    Raises:
        RuntimeError: within a backward pass. ``torch.utils.checkpoint`` computes there again
            what the forward pass has computed, and it does not say which of the calls it
            repeats: with another key the gradient would be that of other triplets.

    Example:
        >>> random_words(1, torch.arange(3)[:, None], torch.arange(2)).shape
        torch.Size([3, 2])
    """
    if _in_backward():
        raise RuntimeError(
            "a miner was to draw within a backward pass, as torch.utils.checkpoint makes it do "
            "when it computes a part of the forward pass again: it would draw other triplets "
            "and give a wrong gradient; checkpoint the network alone, and call the miner "
            "outside of what is checkpointed"
        )
    z = anchor * _signed(_ANCHOR_STRIDE) + slot * _signed(_SLOT_STRIDE) + _signed(key)
    return mixed(z)


def random_below(key: int, anchor: Tensor, slot: Tensor, bound: Tensor) -> Tensor:
    """Random integers in ``0 … bound − 1`` (bound up to 2³¹), int64.

    Example:
        >>> int(random_below(1, torch.tensor([5]), torch.tensor([0]), torch.tensor([1])))
        0
    """
    return shifted(shifted(random_words(key, anchor, slot), 32) * bound, 32)


def random_unit(key: int, anchor: Tensor, slot: Tensor, dtype: torch.dtype) -> Tensor:
    """Random numbers in ``[0, 1)``.

    Example:
        >>> u = random_unit(1, torch.arange(100), torch.tensor(0), torch.float32)
        >>> bool((u >= 0).all() and (u < 1).all())
        True
    """
    bits = 24 if dtype == torch.float32 else 53
    return shifted(random_words(key, anchor, slot), 64 - bits).to(dtype) * 2.0**-bits


def _in_backward() -> bool:
    """Whether a backward pass runs on this thread: torch has no public name for the question."""
    return torch._C._current_graph_task_id() != -1


def _mixed_word(z: int) -> int:
    return int(mixed(torch.tensor(_signed(z & _WORD), device="cpu"))) & _WORD


def _signed(word: int) -> int:
    """The same 64 bits, read as a signed integer."""
    return word - (1 << 64) if word >> 63 else word
