"""pytorch-metric-learning's miners and losses, as its documentation uses them.

Its objects already take ``miner(embeddings, labels)`` and ``loss(embeddings, labels, indices)``,
so they run in the same loop. What differs from metricface's namesakes is the definition:

- distances are Euclidean, not squared, between L2-normalised embeddings;
- "semihard" keeps *every* negative of a pair that lies inside the margin, not the closest one;
- the reducers average over the terms that are not zero;
- the contrastive loss is the linear hinge on the distance, with margins 0 and 1.
"""

from __future__ import annotations

from typing import Any

from pytorch_metric_learning import losses, miners, reducers
from pytorch_metric_learning.utils import distributed


def semi_hard(margin: float = 0.2) -> tuple[Any, Any]:
    """Semi-hard triplets and the triplet hinge.

    Args:
        margin: of the miner and of the loss, in Euclidean distance.

    Returns:
        The miner and the loss.

    Example:
        >>> miner, loss = semi_hard(0.1)
        >>> miner.margin, loss.margin
        (0.1, 0.1)
    """
    return (
        miners.TripletMarginMiner(margin=margin, type_of_triplets="semihard"),
        losses.TripletMarginLoss(margin=margin),
    )


def batch_hard(margin: float = 0.2) -> tuple[Any, Any]:
    """The hardest positive and the hardest negative of each anchor, and the triplet hinge.

    Args:
        margin: of the loss, in Euclidean distance.

    Returns:
        The miner and the loss.

    Example:
        >>> batch_hard(0.1)[1].margin
        0.1
    """
    return miners.BatchHardMiner(), losses.TripletMarginLoss(margin=margin)


def batch_hard_soft() -> tuple[Any, Any]:
    """The hardest positive and the hardest negative of each anchor, and the soft margin.

    The mean over all triplets, as in "In Defense of the Triplet Loss": their own default averages
    over the terms above 0, which here are all.

    Returns:
        The miner and the loss.

    Example:
        >>> batch_hard_soft()[1].smooth_loss
        True
    """
    loss = losses.TripletMarginLoss(margin=0, smooth_loss=True, reducer=reducers.MeanReducer())
    return miners.BatchHardMiner(), loss


def contrastive(positive_margin: float = 0.0, negative_margin: float = 1.0) -> tuple[Any, Any]:
    """The contrastive loss over all pairs of the batch.

    Args:
        positive_margin: a genuine pair closer than this costs nothing.
        negative_margin: an impostor pair farther than this costs nothing.

    Returns:
        No miner, and the loss.

    Example:
        >>> contrastive()[0] is None
        True
    """
    return None, losses.ContrastiveLoss(pos_margin=positive_margin, neg_margin=negative_margin)


def across_ranks(miner: Any, loss: Any, *, efficient: bool) -> tuple[Any, Any]:
    """A miner and a loss as its documentation wraps them for several processes.

    Args:
        miner: or None.
        loss: of theirs.
        efficient: each rank looks at its own rows against those of all, which it takes for
            constants; else at all against all.

    Returns:
        The miner, or None, and the loss.

    Example:
        >>> across_ranks(*contrastive(), efficient=True)[1].efficient
        True
    """
    wrapped = distributed.DistributedLossWrapper(loss, efficient=efficient)
    if miner is None:
        return None, wrapped
    return distributed.DistributedMinerWrapper(miner, efficient=efficient), wrapped


def multi_similarity(epsilon: float = 0.1, *, base: float = 0.5) -> tuple[Any, Any]:
    """The multi-similarity miner and its loss, with the library's default weights.

    Args:
        epsilon: slack of the miner, in cosine similarity.
        base: the similarity at which the loss's weights turn.

    Returns:
        The miner and the loss.

    Example:
        >>> multi_similarity(0.2)[0].epsilon
        0.2
    """
    return miners.MultiSimilarityMiner(epsilon=epsilon), losses.MultiSimilarityLoss(base=base)


def distance_weighted(margin: float = 0.2) -> tuple[Any, Any]:
    """Distance-weighted negatives and the margin loss with one learnt boundary.

    Args:
        margin: of the loss, in Euclidean distance.

    Returns:
        The miner and the loss.

    Example:
        >>> distance_weighted()[1].margin
        0.2
    """
    return miners.DistanceWeightedMiner(), losses.MarginLoss(margin=margin, learn_beta=True)


def supcon(temperature: float = 0.1) -> tuple[Any, Any]:
    """The supervised contrastive loss over the batch.

    Args:
        temperature: cosines are divided by it.

    Returns:
        No miner, and the loss.

    Example:
        >>> supcon(0.2)[1].temperature
        0.2
    """
    return None, losses.SupConLoss(temperature=temperature)


def circle(margin: float = 0.4, gamma: float = 80.0) -> tuple[Any, Any]:
    """The circle loss over the batch.

    Args:
        margin: the paper's m, in cosine.
        gamma: the scale.

    Returns:
        No miner, and the loss.

    Example:
        >>> circle()[1].gamma
        80.0
    """
    return None, losses.CircleLoss(m=margin, gamma=gamma)


def proxy_anchor(num_classes: int, dim: int, margin: float = 0.1) -> tuple[Any, Any]:
    """The proxy-anchor loss, with one learnt proxy for each class.

    Args:
        num_classes: C.
        dim: D.
        margin: in cosine.

    Returns:
        No miner, and the loss.

    Example:
        >>> proxy_anchor(3, 4)[1].proxies.shape
        torch.Size([3, 4])
    """
    return None, losses.ProxyAnchorLoss(num_classes, dim, margin=margin)


def cosface(num_classes: int, dim: int, scale: float, margin: float) -> tuple[Any, Any]:
    """Their CosFace.

    Args:
        num_classes: C.
        dim: D.
        scale: s.
        margin: in cosine.

    Returns:
        No miner, and the loss.

    Example:
        >>> cosface(3, 4, 30.0, 0.35)[1].scale
        30.0
    """
    return None, losses.CosFaceLoss(num_classes, dim, margin=margin, scale=scale)


def arcface(num_classes: int, dim: int, scale: float, margin: float) -> tuple[Any, Any]:
    """Their ArcFace.

    Args:
        num_classes: C.
        dim: D.
        scale: s.
        margin: in degrees, as they take it.

    Returns:
        No miner, and the loss.

    Example:
        >>> arcface(3, 4, 30.0, 28.6)[1].scale
        30.0
    """
    return None, losses.ArcFaceLoss(num_classes, dim, margin=margin, scale=scale)
