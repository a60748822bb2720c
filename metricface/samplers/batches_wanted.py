"""Whether whoever asks a sampler of batches wants batches."""

from __future__ import annotations

import sys

from torch.utils.data import BatchSampler


def check_batches_wanted(sampler: object) -> None:
    """Refuse torch's ``BatchSampler`` as the one that asks for the first batch of a pass.

    ``DataLoader(sampler=…)`` puts its sampler into one, which would make a batch of batches: each
    list of indices would be taken for the index of one item, and what comes of that depends on the
    dataset. A sampler is not told who asks; the frame that does so is looked at, once a pass.

    Args:
        sampler: the one that is asked, for the error.

    Raises:
        ValueError: it was given as ``sampler=``.

    Example:
        >>> check_batches_wanted(object())
    """
    asks = sys._getframe(2)  # of the generator that calls this
    if asks is not None and asks.f_code is BatchSampler.__iter__.__code__:
        name = type(sampler).__name__
        raise ValueError(
            f"DataLoader(sampler={name}(…)) takes each batch of indices for the index of one item: "
            f"give it as batch_sampler={name}(…), without batch_size, shuffle and drop_last"
        )
