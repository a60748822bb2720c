"""The picture of a margin: what each classifier asks at every angle."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from metricface.classifiers import Classifier
from metricface.plots.palette import FAINT, axes_or_new, legend_beside, line_style, open_frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def target_logit_curves(
    classifiers: Mapping[str, Classifier], *, ax: Axes | None = None, steps: int = 721
) -> Axes:
    """Draw the target logit, without its scale, against the angle to the own class.

    The lower a curve lies, the nearer to its class an embedding has to be for the same logit; a
    margin shows as the distance to ``cos θ``. Each curve is the classifier's own
    :meth:`~metricface.classifiers.Classifier.target_logit`, the function its loss is made of; an
    annealed margin is drawn as it stands. In training, angles move from about 90° to about 30°.

    Args:
        classifiers: under the names to list them by.
        ax: where to draw; a new figure if None.
        steps: points from 0 to 180°, at least 2.

    Returns:
        The Axes.

    Raises:
        ImportError: matplotlib is missing.
        ValueError: no classifiers, or fewer than two steps.

    Example:
        >>> from metricface.classifiers import ArcFace, NormFace
        >>> ax = target_logit_curves({"softmax": NormFace(9, 4), "ArcFace": ArcFace(9, 4)})
        >>> [round(float(line.get_ydata()[0]), 2) for line in ax.lines]
        [1.0, 0.88]

    Reference: Deng et al., "ArcFace", CVPR 2019, figure 4.
    """
    if not classifiers:
        raise ValueError("classifiers is empty: there is nothing to draw")
    if steps < 2:
        raise ValueError(f"steps must be at least 2, got {steps}")
    ax = axes_or_new(ax, width=7.0, height=4.0)
    degrees = torch.linspace(0, 180, steps, dtype=torch.float64)
    for number, (name, classifier) in enumerate(classifiers.items()):
        with torch.no_grad():
            logit = classifier.target_logit(degrees * (math.pi / 180))
        ax.plot(degrees.numpy(), logit.numpy(), label=name, linewidth=1.6, **line_style(number))
    ax.set(xlabel="angle to the own class, degrees", ylabel="target logit / scale")
    ax.set(xlim=(0, 180), xticks=range(0, 181, 30))
    ax.grid(color=FAINT, alpha=0.25, linewidth=0.6)
    legend_beside(ax, title="classifier")
    open_frame(ax)
    return ax
