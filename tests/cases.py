"""One table of components for each family; every contract is a test that loops over it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from metricface.classifiers import (
    COCO,
    AdaFace,
    AMSoftmax,
    ArcFace,
    ASoftmax,
    Classifier,
    CombinedMargin,
    CosFace,
    GBCosFace,
    LSoftmax,
    ModifiedSoftmax,
    NormFace,
    ProxyAnchor,
    ProxyNCA,
    Softmax,
    SubCenterArcFace,
)
from metricface.distances import Cosine, Distance, Euclidean, SquaredEuclidean
from metricface.losses import (
    BatchAllTripletLoss,
    CenterLoss,
    CircleLoss,
    ContrastiveLoss,
    DeepID2Loss,
    EmbeddingLoss,
    InfoNCELoss,
    LiftedStructureLoss,
    MarginLoss,
    MultiSimilarityLoss,
    NCALoss,
    NPairLoss,
    SigmoidPairLoss,
    SmoothAPLoss,
    SupConLoss,
    TripletLoss,
    VerificationSignal,
)
from metricface.miners import (
    BatchAllMiner,
    BatchHardMiner,
    DistanceWeightedMiner,
    EasyPositiveMiner,
    FalseNegativeGuard,
    Miner,
    MultiSimilarityMiner,
    RandomMiner,
    RankedMiner,
    SemiHardMiner,
)
from metricface.types import Pairs, Triplets

AnyMiner = Miner[Triplets] | Miner[Pairs]

DISTANCES: dict[str, Distance] = {
    f"{kind.__name__}(normalize={normalize})": kind(normalize=normalize)
    for kind in (SquaredEuclidean, Euclidean, Cosine)
    for normalize in (True, False)
}

#: Miners whose answer is a function of the batch alone.
FIXED_MINERS: dict[str, Callable[..., AnyMiner]] = {
    "batch-hard": BatchHardMiner,
    "semi-hard": partial(SemiHardMiner, margin=0.5),
    "semi-hard, unbounded": partial(SemiHardMiner, bounded=False),
    "semi-hard, or else the easiest": partial(SemiHardMiner, bounded=False, otherwise="easiest"),
    "batch-all": partial(BatchAllMiner, 0.3),
    "batch-all, every triplet": partial(BatchAllMiner, float("inf")),
    "multi-similarity": MultiSimilarityMiner,
    "multi-similarity, two negatives": partial(MultiSimilarityMiner, 0.5, per_anchor=2),
    "batch-hard, guarded": partial(BatchHardMiner, guard=FalseNegativeGuard(relative_margin=0.8)),
    "easy positive": EasyPositiveMiner,
    "easy positive, hardest negative": partial(EasyPositiveMiner, "hardest"),
    "ranked": partial(RankedMiner, (0, 2), (1, 3)),
}

#: Miners that draw; each takes a seed.
RANDOM_MINERS: dict[str, Callable[..., AnyMiner]] = {
    "random": RandomMiner,
    "random, three each": partial(RandomMiner, 3),
    "semi-hard, random": partial(SemiHardMiner, margin=0.5, negative="random"),
    "batch-all, two each": partial(BatchAllMiner, 1.0, per_anchor=2),
    "distance-weighted": DistanceWeightedMiner,
    "distance-weighted, two each": partial(DistanceWeightedMiner, 0.3, 1.8, 2),
    "distance-weighted, or else uniform": partial(
        DistanceWeightedMiner, 0.1, 0.2, otherwise="uniform"
    ),
    "ranked, softmax": partial(RankedMiner, (0, 3), (0, 9), temperature=0.5, per_anchor=2),
    "margin violator": partial(SemiHardMiner, negative="random", include_hard=True),
}

MINERS = FIXED_MINERS | RANDOM_MINERS

#: Losses with their defaults where it matters least; all take a reduction and a distance.
LOSSES: dict[str, Callable[..., EmbeddingLoss]] = {
    "triplet": TripletLoss,
    "triplet, soft": partial(TripletLoss, "soft"),
    "batch-all": BatchAllTripletLoss,
    "triplet, swap": partial(TripletLoss, swap=True),
    "contrastive": ContrastiveLoss,
    "contrastive, linear": partial(ContrastiveLoss, form="linear"),
    "margin": partial(MarginLoss, learn_beta=False),
    "margin, near boundary": partial(MarginLoss, beta=0.9, learn_beta=False),
    "SupCon": SupConLoss,
    "InfoNCE": InfoNCELoss,
    "sigmoid pairs": partial(SigmoidPairLoss, learn=False),
    "multi-similarity": MultiSimilarityLoss,
    "circle": CircleLoss,
    "lifted structure": LiftedStructureLoss,
    "NCA": NCALoss,
    "smooth AP": partial(SmoothAPLoss, 0.1),
}

#: Losses with settings of their own, for the contracts that ask for neither of the two.
OTHER_LOSSES: dict[str, Callable[..., nn.Module]] = {
    "verification signal": VerificationSignal,
    "DeepID2": partial(DeepID2Loss, 4, 4),
    "center": partial(CenterLoss, 4, 4),
    "N-pair": NPairLoss,
}

#: Classifiers; all take a number of classes, a dimension and a reduction.
CLASSIFIERS: dict[str, Callable[..., Classifier]] = {
    "softmax": Softmax,
    "softmax, no bias": partial(Softmax, bias=False),
    "modified softmax": ModifiedSoftmax,
    "L-Softmax": partial(LSoftmax, margin=3, annealing=None),
    "A-Softmax": partial(ASoftmax, margin=4, annealing=None),
    "A-Softmax, annealed": ASoftmax,
    "NormFace": NormFace,
    "NormFace, learned scale": partial(NormFace, scale=20.0, learn_scale=True),
    "CosFace": CosFace,
    "AM-Softmax": AMSoftmax,
    "ArcFace": ArcFace,
    "ArcFace, easy": partial(ArcFace, easy_margin=True),
    "combined, 1 0.3 0.2": CombinedMargin,
    "combined, 1.35 0.4 0.15": partial(CombinedMargin, m1=1.35, m2=0.4, m3=0.15),
    "combined, 0.9 0.4 0.15": partial(CombinedMargin, m1=0.9, m2=0.4, m3=0.15),
    "GB-CosFace": GBCosFace,
    "COCO": COCO,
    "COCO, batch centroids": partial(COCO, centroids="batch"),
    "Proxy-NCA++": ProxyNCA,
    "Proxy-NCA": partial(ProxyNCA, temperature=1.0, own_proxy=False),
    "Proxy-Anchor": ProxyAnchor,
    "sub-center ArcFace": SubCenterArcFace,
    "sub-center ArcFace, two, easy": partial(SubCenterArcFace, sub_centers=2, easy_margin=True),
    "AdaFace": AdaFace,
    "AdaFace, quick": partial(AdaFace, alpha=1.0),
}
