"""Figures of a validation set that arrives batch by batch, as a torchmetrics metric."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from metricface.distances import Distance
from metricface.embeddings import check_embeddings
from metricface.evaluation.given import DISTANCE, checked_ranks, checked_rates
from metricface.evaluation.retrieval import retrieval
from metricface.evaluation.verification import verification

try:
    from torchmetrics import Metric
except ImportError as error:
    raise ImportError(
        "metricface.evaluation.streaming needs torchmetrics: pip install torchmetrics"
    ) from error

Figures: TypeAlias = Literal["retrieval", "verification"]
"""What is measured."""


class EmbeddingMetric(Metric):
    """Retrieval and verification figures of embeddings that arrive batch by batch.

    Embeddings, labels and ids are kept until the figures are asked for; torchmetrics gathers them
    from all processes. What :func:`~metricface.evaluation.retrieval` and
    :func:`~metricface.evaluation.verification` say of the whole set is then the answer, on every
    process the same. With ids, the samples' places in the data set, a sample that a distributed
    sampler repeated to fill its last batch counts once.

    ==================================  ==========================================================
    key                                 figure
    ==================================  ==========================================================
    ``recall_at_1``, …                  Recall@k
    ``r_precision``, ``map_at_r``       of the R nearest
    ``map``, ``mrr``                    of the whole ranking
    ``eer``, ``auc``                    over all pairs
    ``tar_at_far_0.01``, …              TAR at each FAR
    ==================================  ==========================================================

    What too few rows cannot tell, as in the first batches that Lightning tries before it trains, is
    NaN, with a warning.

    Args:
        figures: which of the two to measure.
        ks: the k of Recall@k.
        fars: false accept rates.
        distance: what is measured.
        compute_on_cpu: keep what arrives in the host's memory.
        sync_on_compute: gather from all processes.

    Raises:
        ValueError: figures that are not known, a k or FAR that is none.

    Example:
        >>> metric = EmbeddingMetric(fars=(0.5,))
        >>> for x, y in [([[1.0, 0.0], [0.0, 1.0]], [0, 1]), ([[0.9, 0.1], [0.1, 0.9]], [0, 1])]:
        ...     metric.update(torch.tensor(x), torch.tensor(y))
        >>> found = metric.compute()
        >>> [round(float(found[name]), 3) for name in ("recall_at_1", "map", "tar_at_far_0.5")]
        [1.0, 1.0, 1.0]
    """

    is_differentiable = False
    full_state_update = False
    embeddings: list[Tensor]
    labels: list[Tensor]
    ids: list[Tensor]

    def __init__(
        self,
        figures: Sequence[Figures] = ("retrieval", "verification"),
        *,
        ks: Sequence[int] = (1, 5),
        fars: Sequence[float] = (1e-1, 1e-2, 1e-3),
        distance: Distance = DISTANCE,
        compute_on_cpu: bool = False,
        sync_on_compute: bool = True,
    ) -> None:
        super().__init__(compute_on_cpu=compute_on_cpu, sync_on_compute=sync_on_compute)
        known = get_args(Figures)
        if isinstance(figures, str) or not figures or not set(figures) <= set(known):
            raise ValueError(f"figures must be some of {', '.join(known)}, got {figures!r}")
        self.figures = tuple(figures)
        self.ks, self.fars = checked_ranks(ks, "ks"), checked_rates(fars, "fars")
        self.distance = distance
        for name in ("embeddings", "labels", "ids"):
            self.add_state(name, default=[], dist_reduce_fx="cat")

    def update(self, embeddings: Tensor, labels: Tensor, ids: Tensor | None = None) -> None:
        """Take another batch.

        Args:
            embeddings: ``[B, D]``.
            labels: their identities, integers ``[B]``.
            ids: which sample of the data set each row is, integers ``[B]``: in every batch or in
                none.

        Raises:
            TypeError: embeddings that are not floating, labels or ids that are no integer tensors.
            ValueError: shapes or counts that do not fit, NaN embeddings, ids in some batches only.
        """
        check_embeddings(embeddings)
        for name, values in (("labels", labels), ("ids", ids)):
            if values is None and name == "ids":
                continue
            if not isinstance(values, Tensor) or values.is_floating_point():
                raise TypeError(f"{name} must be an integer tensor, got {values!r:.60}")
            if values.shape != (len(embeddings),):
                raise ValueError(
                    f"{len(embeddings)} embeddings came with {name} of shape {tuple(values.shape)}"
                )
        if self.labels and bool(self.ids) == (ids is None):
            raise ValueError("ids must come with every batch or with none")
        self.embeddings.append(embeddings.detach())
        self.labels.append(labels.long())
        if ids is not None:
            self.ids.append(ids.long())

    def compute(self) -> dict[str, Tensor]:
        """The figures of all that arrived, a scalar for each; ready for Lightning's ``log_dict``.

        Raises:
            ValueError: nothing arrived; one id with two labels.

        Warns:
            UserWarning: rows of one id with different embeddings, of which the first counts; too
                few rows for some figures.
        """
        if not len(self.labels):
            raise ValueError("no batch has arrived: call update first")
        x, labels = _joined(self.embeddings), _joined(self.labels)
        if len(self.ids):
            kept = _checked_samples(_joined(self.ids), x, labels)
            x, labels = x[kept], labels[kept]
        of_identity = torch.unique(labels, return_counts=True)[1]
        genuine = int((of_identity * (of_identity - 1)).sum()) // 2
        impostors = len(x) * (len(x) - 1) // 2 - genuine
        found: dict[str, float] = {}
        if "retrieval" in self.figures:
            found |= self._retrieval(x, labels) if genuine else self._unknown(self._ranked)
        if "verification" in self.figures:
            both = genuine and impostors
            found |= self._verification(x, labels) if both else self._unknown(self._paired)
        if any(math.isnan(value) for value in found.values()):
            warnings.warn(
                f"{len(x)} rows with {genuine} genuine and {impostors} impostor pairs are too few "
                "for some figures, which are NaN",
                stacklevel=2,
            )
        return {name: torch.tensor(value, device=x.device) for name, value in found.items()}

    @property
    def _ranked(self) -> list[str]:
        return [*(f"recall_at_{k}" for k in self.ks), "r_precision", "map_at_r", "map", "mrr"]

    @property
    def _paired(self) -> list[str]:
        return ["eer", "auc", *(f"tar_at_far_{far:g}" for far in self.fars)]

    @staticmethod
    def _unknown(names: list[str]) -> dict[str, float]:
        return dict.fromkeys(names, math.nan)

    def _retrieval(self, x: Tensor, labels: Tensor) -> dict[str, float]:
        near = retrieval(x, labels, ks=self.ks, whole_ranking=True, distance=self.distance)
        whole = (near.mean_average_precision or 0.0, near.mrr or 0.0)
        values = (*near.recall.values(), near.r_precision, near.map_at_r, *whole)
        return dict(zip(self._ranked, values, strict=True))

    def _verification(self, x: Tensor, labels: Tensor) -> dict[str, float]:
        with warnings.catch_warnings():  # of a FAR that cannot be measured: said once, above
            warnings.simplefilter("ignore")
            same = verification(x, labels, folds=1, fars=self.fars, distance=self.distance)
        return dict(zip(self._paired, (same.eer, same.auc, *same.tar.values()), strict=True))


def _joined(parts: list[Tensor] | Tensor) -> Tensor:
    """A state as one tensor, which it already is once torchmetrics has gathered it."""
    return parts if isinstance(parts, Tensor) else torch.cat(parts)


_MOST_OFF = 0.1  # between two embeddings of one sample, in shares of their length


def _checked_samples(ids: Tensor, x: Tensor, labels: Tensor) -> Tensor:
    """Rows of the first of each id, in the order of the ids."""
    order = torch.argsort(ids, stable=True)
    new = torch.ones_like(order, dtype=torch.bool)
    new[1:] = ids[order][1:] != ids[order][:-1]
    kept = order[new]
    again, first = order[~new], kept[new.cumsum(0) - 1][~new]
    other = labels[again] != labels[first]
    if other.any():
        place = int(other.int().argmax())
        one, two = int(labels[first[place]]), int(labels[again[place]])
        raise ValueError(
            f"id {int(ids[again[place]])} came with the labels {one} and {two}: ids must tell "
            "samples of the data set apart, not those of a batch"
        )
    off = (x[again] - x[first]).float().norm(dim=1) > _MOST_OFF * x[first].float().norm(dim=1)
    if off.any():
        warnings.warn(
            f"{int(off.sum())} rows, the first of id {int(ids[again[off][0]])}, have an id that "
            "came before with another embedding, and do not count: ids must tell samples of the "
            "data set apart",
            stacklevel=3,
        )
    return kept
