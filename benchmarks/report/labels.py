"""How numbers, metrics and families are written in print."""

from __future__ import annotations

import math

METRICS = {
    "recall_at_1": "Recall@1",
    "recall_at_5": "Recall@5",
    "r_precision": "R-precision",
    "map_at_r": "MAP@R",
    "eer": "EER",
    "auc": "AUC",
    "tar_at_0.1": "TAR at FAR 1e-1",
    "tar_at_0.01": "TAR at FAR 1e-2",
    "tar_at_0.001": "TAR at FAR 1e-3",
}
FAMILIES = {
    "triplet": "Triplet losses",
    "pair": "Pair losses",
    "classifier": "Classifiers",
    "recipe": "Recipes",
    "peer": "Other libraries",
}


def metric(name: str) -> str:
    """A metric's name in print; its column's name if it has none.

    Example:
        >>> metric("eer"), metric("map_at_r_unseen_typefaces"), metric("seconds")
        ('EER', 'MAP@R, unseen typefaces', 'seconds')
    """
    base = name.removesuffix("_unseen_typefaces")
    apart = ", unseen typefaces" if base != name else ""
    return METRICS[base] + apart if base in METRICS else name


def number(value: float, digits: int = 3, missing: str = "–") -> str:
    """A number to so many decimals, or what stands for none.

    Example:
        >>> number(0.12345), number(math.nan)
        ('0.123', '–')
    """
    return f"{value:.{digits}f}" if math.isfinite(value) else missing


def interval(mean: float, half: float, *, signed: bool = False) -> str:
    """A mean with half the width of its interval, if it has one; it does not break over lines.

    Example:
        >>> interval(0.8324, 0.0101).split(), interval(0.8324, math.nan)
        (['0.832', '±', '0.010'], '0.832')
    """
    written = f"{mean:+.3f}".replace("-", "−") if signed else number(mean)
    return f"{written}\u00a0±\u00a0{half:.3f}" if math.isfinite(half) else written
