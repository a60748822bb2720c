"""Class weights as a test wants them, also where a class has several."""

from __future__ import annotations

import torch
from torch import Tensor

from metricface.classifiers import Classifier


@torch.no_grad()
def set_weight(classifier: Classifier, rows: Tensor, first: int = 0) -> None:
    """Give the classes from the first on these rows; all sub-centres of a class the same."""
    weight = classifier.weight[first : first + len(rows)]
    weight.copy_(rows.to(weight) if weight.ndim == 2 else rows.to(weight)[:, None])
