"""VGG-Face's way: learn to classify, drop the classifier, fine-tune by triplets."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from metricface.classifiers import Softmax
from metricface.given import check_instance
from metricface.losses import TripletLoss
from metricface.memory import CrossBatchMemory
from metricface.miners import SemiHardMiner
from metricface.recipes.batches import BatchSampler, Labelled, identity_numbers
from metricface.recipes.embed import embedding_dim
from metricface.recipes.fit import Fit, fit
from metricface.recipes.look_alikes import LookAlikes
from metricface.recipes.loop.refusals import check_asked
from metricface.recipes.options import Options
from metricface.recipes.processes.network import plain
from metricface.recipes.resuming.random_state import seeded

Head = Callable[[int, int], nn.Module]
"""Makes a classifier from the number of classes and the dimension, as their classes do."""


class SoftmaxThenTriplet(NamedTuple):
    """Both stages; the model is that of the second."""

    softmax: Fit
    triplet: Fit

    @property
    def model(self) -> nn.Module:
        """The fine-tuned network, with the projection if there is one."""
        return self.triplet.model

    @property
    def history(self) -> list[dict[str, float]]:
        """The rows of both stages as one training: steps and seconds go on."""
        first, second = self.softmax.history, self.triplet.history
        so_far = first[-1]
        kept = [name for name in so_far if name == "step" or name.endswith("seconds")]
        later = [row | {name: row[name] + so_far[name] for name in kept} for row in second[1:]]
        return first + later


def softmax_then_triplet(
    model: nn.Module,
    data: Labelled,
    *,
    sampler: BatchSampler,
    steps: tuple[int, int],
    head: Head = Softmax,
    loss: nn.Module | None = None,
    miner: Callable[..., Sequence[Tensor]] | None = None,
    projection: nn.Module | None = None,
    frozen: bool = False,
    memory: CrossBatchMemory | None = None,
    look_alikes: LookAlikes | None = None,
    validation: Labelled | None = None,
    folder: str | os.PathLike[str] | None = None,
    options: Options | None = None,
    triplet_options: Options | None = None,
) -> SoftmaxThenTriplet:
    """Train a classifier of the identities, drop it, then fine-tune by triplets.

    The classifier shapes a feature space in which triplets are worth mining from the start.
    Which layers the paper fine-tunes, and how, is not known for certain: here the whole network,
    or with ``frozen=True`` a ``projection`` of its features alone.

    Args:
        model: maps inputs ``[B, …]`` to features ``[B, D]``; changed in place.
        data: the training set, with ``.labels``.
        sampler: batches of the data's indices, for both stages.
        steps: of the first stage and of the second.
        head: makes the classifier: any of :mod:`metricface.classifiers`, or
            ``functools.partial(CosFace, scale=30)``.
        loss: of the second stage; None is ``TripletLoss(0.2)``.
        miner: of the second stage; None is the paper's: for every pair a random negative of
            those that violate the margin.
        projection: put behind the features in the second stage, such as ``nn.Linear(D, 128)``.
        frozen: leave the model as the first stage made it and train the projection only.
        memory: of the second stage; of the dimension it then has.
        look_alikes: of the second stage; needs a ``HardIdentitySampler``.
        validation: other identities to evaluate on.
        folder: for ``softmax/`` and ``triplet/``; a killed run goes on in either.
        options: of both stages.
        triplet_options: of the second, where it differs; usually a lower learning rate.

    Returns:
        Both stages.

    Raises:
        ValueError: frozen without a projection, steps that are no pair, and as :func:`fit`; both
            stages are looked at before the first begins.
        TypeError: as :func:`fit`.

    Example:
        >>> import numpy as np
        >>> from metricface.data import ImageSet
        >>> from metricface.samplers import PKSampler
        >>> pixels = np.random.default_rng(0).integers(0, 256, (40, 8, 8), np.uint8)
        >>> people = ImageSet(pixels, np.arange(40) // 4, tuple("abcdefghij"))
        >>> done = softmax_then_triplet(
        ...     nn.Sequential(nn.Flatten(), nn.Linear(64, 16)),
        ...     people,
        ...     sampler=PKSampler(people.labels, p=5, k=4),
        ...     steps=(4, 2),
        ...     options=Options(evaluate_every=2, progress=False),
        ... )
        >>> [row["step"] for row in done.history]
        [0.0, 2.0, 4.0, 6.0]

    Reference: Parkhi et al., "Deep Face Recognition", BMVC 2015, sections 4.1 and 4.2.
    """
    if frozen and projection is None:
        raise ValueError("frozen=True leaves nothing to train without a projection")
    if not isinstance(steps, Sequence) or len(steps) != 2:
        raise ValueError(f"steps must be a pair, of the first and the second stage, got {steps}")
    later = {"loss": loss, "miner": miner, "memory": memory, "projection": projection}
    for name, part in later.items():
        check_instance(name, part)
    options = Options() if options is None else options
    second_options = options if triplet_options is None else triplet_options
    check_asked(steps[0], sampler, None, validation, folder, options)
    check_asked(steps[1], sampler, look_alikes, validation, folder, second_options)
    with seeded(options.seed):
        classes = int(identity_numbers(data).max()) + 1
        classifier = head(classes, embedding_dim(model, data, options.batch))
    places = (None, None) if folder is None else (Path(folder, "softmax"), Path(folder, "triplet"))
    first = fit(
        model,
        data,
        classifier,
        sampler=sampler,
        steps=steps[0],
        validation=validation,
        folder=places[0],
        options=options,
    )
    # Around the projection there is another network to be shared.
    with _stage_two(
        model if projection is None else plain(model), projection, frozen=frozen
    ) as tuned:
        second = fit(
            tuned,
            data,
            TripletLoss(0.2) if loss is None else loss,
            sampler=sampler,
            steps=steps[1],
            miner=_vgg_face_miner() if miner is None else miner,
            memory=memory,
            look_alikes=look_alikes,
            validation=validation,
            folder=places[1],
            options=second_options,
        )
    return SoftmaxThenTriplet(first, second)


class Frozen(nn.Module):
    """A network that stays as it is: no gradient, and its statistics do not move.

    Args:
        trunk: what to freeze.

    Example:
        >>> frozen = Frozen(nn.BatchNorm1d(2)).train()
        >>> frozen.trunk.training, any(each.requires_grad for each in frozen.parameters())
        (False, False)
    """

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk.requires_grad_(False)

    def train(self, mode: bool = True) -> Frozen:  # noqa: FBT001, FBT002  (nn.Module's signature)
        """Evaluation mode, whatever is asked for."""
        return super().train(False)

    def forward(self, inputs: Any) -> Tensor:
        """The features, without gradient."""
        with torch.no_grad():
            features: Tensor = self.trunk(inputs)
        return features


@contextmanager
def _stage_two(
    model: nn.Module, projection: nn.Module | None, *, frozen: bool
) -> Iterator[nn.Module]:
    """What is fine-tuned; afterwards the model can be trained as before."""
    if projection is None:
        yield model
        return
    trained = [each for each in model.parameters() if each.requires_grad]
    projection.to(next(model.parameters(), torch.empty(0)).device)
    try:
        yield nn.Sequential(Frozen(model) if frozen else model, projection)
    finally:
        for each in trained:
            each.requires_grad_(True)


def _vgg_face_miner() -> SemiHardMiner:
    """A random negative among those that violate the margin, for every pair."""
    return SemiHardMiner(0.2, negative="random", include_hard=True)
