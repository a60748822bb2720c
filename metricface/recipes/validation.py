"""What an embedding is worth on identities it has not seen."""

from __future__ import annotations

from torch import Tensor

from metricface.evaluation import retrieval, verification

FARS = (1e-1, 1e-2, 1e-3)


def unseen_identities(embeddings: Tensor, labels: Tensor) -> dict[str, float]:
    """Retrieval and verification over all samples, by name.

    Args:
        embeddings: ``[N, D]``.
        labels: identities ``[N]``.

    Returns:
        ``recall_at_1``, ``recall_at_5``, ``r_precision``, ``map_at_r``, ``accuracy``, ``eer``,
        ``auc`` and ``tar_at_0.1``, ``tar_at_0.01``, ``tar_at_0.001`` (the true accept rate at
        that false accept rate).

    Example:
        >>> import torch
        >>> labels = torch.arange(20).repeat_interleave(4)
        >>> unseen_identities(torch.eye(20)[labels], labels)["recall_at_1"]
        1.0
    """
    found = retrieval(embeddings, labels, ks=(1, 5))
    verified = verification(embeddings, labels, fars=FARS)
    return {
        "recall_at_1": found.recall[1],
        "recall_at_5": found.recall[5],
        "r_precision": found.r_precision,
        "map_at_r": found.map_at_r,
        "accuracy": verified.accuracy,
        "eer": verified.eer,
        "auc": verified.auc,
        **{f"tar_at_{far:g}": verified.tar[far] for far in FARS},
    }
