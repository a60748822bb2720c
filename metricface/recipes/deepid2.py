"""DeepID2's way: identify and verify at once, and set the margin from recent pairs."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Literal

from torch import Tensor, nn

from metricface.classifiers import Softmax
from metricface.given import zero_or_above
from metricface.losses import VerificationSignal
from metricface.memory import CrossBatchMemory
from metricface.recipes.batches import BatchSampler, Labelled, identity_numbers
from metricface.recipes.embed import embedding_dim
from metricface.recipes.fit import Fit, fit
from metricface.recipes.look_alikes import LookAlikes
from metricface.recipes.objective import Objective
from metricface.recipes.options import Options
from metricface.recipes.resuming.random_state import seeded


def deepid2(
    model: nn.Module,
    data: Labelled,
    *,
    sampler: BatchSampler,
    steps: int,
    weight: float = 0.05,
    signal: Literal["l2", "l1", "cosine"] = "l2",
    margin: float = 0.2,
    normalize: bool = True,
    refresh_every: int | None = 200_000,
    window: int = 200_000,
    miner: Callable[..., Sequence[Tensor]] | None = None,
    memory: CrossBatchMemory | None = None,
    look_alikes: LookAlikes | None = None,
    validation: Labelled | None = None,
    folder: str | os.PathLike[str] | None = None,
    options: Options | None = None,
) -> Fit:
    """Train by softmax identification plus λ times pairwise verification.

    The verification margin is not learnt: every ``refresh_every`` pairs it is set to the
    threshold of least verification error over the last ``window``. The classifier is dropped in
    the end. With a memory, past embeddings are verified against but not identified again.

    Args:
        model: maps inputs ``[B, …]`` to features ``[B, D]``; changed in place.
        data: the training set, with ``.labels``.
        sampler: batches of the data's indices.
        steps: optimizer steps.
        weight: λ; 0.05 in the paper (unverified).
        signal: ``"l2"``, ``"l1"`` or ``"cosine"``.
        margin: its first value; on features of length one 0.1 to 0.2 trains where 1 does not.
        normalize: scale features to length one for the verification.
        refresh_every: pairs between two settings of the margin; None keeps it.
        window: recent pairs a margin is set from.
        miner: picks the pairs to verify; None means all of the batch.
        memory: past embeddings to verify against.
        look_alikes: let identities that look alike meet; needs a ``HardIdentitySampler``.
        validation: other identities to evaluate on.
        folder: for the checkpoint; a killed run goes on from it.
        options: all the rest.

    Returns:
        The model and its history.

    Raises:
        ValueError: as :class:`~metricface.losses.DeepID2Loss` and :func:`fit`.
        TypeError: as :func:`fit`.

    Example:
        >>> import numpy as np
        >>> from metricface.data import ImageSet
        >>> from metricface.samplers import PKSampler
        >>> pixels = np.random.default_rng(0).integers(0, 256, (40, 8, 8), np.uint8)
        >>> people = ImageSet(pixels, np.arange(40) // 4, tuple("abcdefghij"))
        >>> done = deepid2(
        ...     nn.Sequential(nn.Flatten(), nn.Linear(64, 16)),
        ...     people,
        ...     sampler=PKSampler(people.labels, p=5, k=4),
        ...     steps=2,
        ...     options=Options(progress=False),
        ... )
        >>> done.step
        2

    Reference: Sun et al., "Deep Learning Face Representation by Joint Identification-
    Verification", NIPS 2014.
    """
    options = Options() if options is None else options
    with seeded(options.seed):
        classes = int(identity_numbers(data).max()) + 1
        identification = Softmax(classes, embedding_dim(model, data, options.batch))
    verification = VerificationSignal(
        signal, margin=margin, normalize=normalize, refresh_every=refresh_every, window=window
    )
    # DeepID2Loss in its two parts: only the second is asked about the memory.
    objective = Objective(
        [identification, verification],
        weights=[1.0, zero_or_above("weight", weight)],
        miner=miner,
        memory=memory,
    )
    return fit(
        model,
        data,
        objective,
        sampler=sampler,
        steps=steps,
        look_alikes=look_alikes,
        validation=validation,
        folder=folder,
        options=options,
    )
