"""What scale and margin can reach at all, from the papers that introduced them."""

from __future__ import annotations

import math

from metricface.given import above_zero, as_count, as_number


def min_scale(num_classes: int, probability: float) -> float:
    """The least scale at which every class centre can have this probability for its own class.

    ``s ≥ (C − 1)/C · log((C − 1) P / (1 − P))``: at best the C centres stand as a regular
    simplex, with cosine −1/(C − 1) between any two.

    Args:
        num_classes: C, at least 1.
        probability: P, between 0 and 1.

    Returns:
        The bound; 0 where any scale will do.

    Raises:
        ValueError: no classes, or a probability outside (0, 1).

    Example:
        >>> [round(min_scale(classes, 0.9), 1) for classes in (10_575, 85_742)]
        [11.5, 13.6]

    Reference: Wang et al., "CosFace", CVPR 2018, section 3.3, eq. 6.
    """
    as_count("num_classes", num_classes)
    if not 0 < as_number("probability", probability) < 1:
        raise ValueError(f"probability must be between 0 and 1, got {probability}")
    if num_classes == 1:
        return 0.0
    odds = (num_classes - 1) * probability / (1 - probability)
    return max((num_classes - 1) / num_classes * math.log(odds), 0.0)


def max_margin(num_classes: int, dim: int) -> float:
    """The largest margin on a cosine that any arrangement of class centres can satisfy.

    A margin asks ``1 − max cos(w_i, w_j) ≥ m`` of the centres. On a circle (D = 2) that is
    ``1 − cos(2π/C)``; up to D + 1 classes can be a regular simplex and reach ``C/(C − 1)``; with
    more classes that value is still a bound, though out of reach.

    Args:
        num_classes: C, at least 1.
        dim: D, at least 1.

    Returns:
        The bound; 2, the range of a cosine, for a single class.

    Raises:
        ValueError: no classes or no dimensions.

    Example:
        >>> round(max_margin(8, 2), 2), round(max_margin(85_742, 512), 2)
        (0.29, 1.0)

    Reference: Wang et al., "CosFace", CVPR 2018, section 3.4, eq. 7.
    """
    as_count("num_classes", num_classes)
    as_count("dim", dim)
    if num_classes == 1:
        return 2.0
    if dim == 1 and num_classes > 2:
        return 0.0
    if dim == 2:
        return 1 - math.cos(2 * math.pi / num_classes)
    return num_classes / (num_classes - 1)


def min_loss(num_classes: int, scale: float) -> float:
    """The least cross-entropy over cosines with this scale and without a margin.

    ``log(1 + (C − 1) exp(−s C/(C − 1)))``; a loss that has come near it has nothing left to
    learn and needs a larger scale or a margin.

    Args:
        num_classes: C, at least 1.
        scale: s, above 0.

    Raises:
        ValueError: no classes, or a scale that is not above 0.

    Example:
        >>> round(min_loss(10_575, 1.0), 2), round(min_loss(10_575, 30.0), 11)
        (8.27, 9.9e-10)

    Reference: Wang et al., "NormFace", ACM Multimedia 2017, proposition 2.
    """
    as_count("num_classes", num_classes)
    above_zero("scale", scale)
    if num_classes == 1:
        return 0.0
    others = num_classes - 1
    return math.log1p(others * math.exp(-scale * num_classes / others))


def check_scale(scale: float, num_classes: int) -> float:
    """The scale; raises where even perfect centres leave their own class a probability under ½.

    Example:
        >>> check_scale(1.0, 1000)
        Traceback (most recent call last):
        ...
        ValueError: scale 1.0 is too small for 1000 classes: below 6.9 the target's \
probability stays under 0.5 however well the classes separate
    """
    scale = above_zero("scale", scale)
    least = min_scale(num_classes, 0.5)
    if scale < least:
        raise ValueError(
            f"scale {scale} is too small for {num_classes} classes: below {least:.1f} the "
            "target's probability stays under 0.5 however well the classes separate"
        )
    return scale


def check_cosine_margin(
    margin: float, num_classes: int, dim: int, *, name: str = "margin"
) -> float:
    """The margin; raises where no arrangement of the classes can satisfy this margin.

    Example:
        >>> check_cosine_margin(0.35, 10, 2)
        Traceback (most recent call last):
        ...
        ValueError: margin must be between 0 and 0.191 for 10 classes in 2 dimensions, got 0.35
    """
    margin, largest = as_number(name, margin), max_margin(num_classes, dim)
    if not 0 <= margin <= largest:
        raise ValueError(
            f"{name} must be between 0 and {largest:.3f} for {num_classes} classes in {dim} "
            f"dimensions, got {margin}"
        )
    return margin
