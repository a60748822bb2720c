"""Center loss."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from metricface.classifiers import class_numbers
from metricface.embeddings import check_embeddings, working_dtype
from metricface.given import as_count, as_share, zero_or_above
from metricface.torch_func import remember
from metricface.types import Labels


class CenterLoss(nn.Module):
    """Pulls each embedding to the centre of its class: ``λ/2 · mean ‖x − c_y‖²``.

    Stands beside a classifier, never alone, where it would draw everything into one point. The
    paper sums both losses over the batch; here both are means, which is the same balance, and
    what the official code does.

    The centres are not trained by the optimizer but follow the paper's own rule, in training mode
    after each forward pass and whatever λ is: ``c_j ← c_j − α Δc_j`` with

    ``Δc_j = Σ_{y=j} (c_j − x) / (1 + n_j)``, n_j the number of class j in the batch.

    They begin at 0 and are a buffer of ``state_dict``. Where several processes train, call it
    through :class:`~metricface.recipes.GlobalBatchLoss`, which gives it the rows of all: the
    centres are then the same everywhere. Given its own rows, each process moves other centres.

    Args:
        num_classes: C.
        dim: D.
        weight: λ; 0.003 in the paper.
        alpha: α, between 0 and 1; 0.5 in the paper.

    Raises:
        ValueError: a setting out of its range.

    Example:
        >>> loss = CenterLoss(2, 1, weight=1.0)
        >>> loss(torch.tensor([[4.0], [2.0]]), [1, 1])  # (16 + 4) / 2 / 2
        tensor(5.)
        >>> loss.centers.flatten().tolist()  # 0.5 · 6/3
        [0.0, 1.0]

    Reference: Wen et al., "A Discriminative Feature Learning Approach for Deep Face
    Recognition", ECCV 2016, eq. 2 to 5.
    """

    centers: Tensor

    def __init__(
        self, num_classes: int, dim: int, *, weight: float = 0.003, alpha: float = 0.5
    ) -> None:
        super().__init__()
        classes, dim = as_count("num_classes", num_classes), as_count("dim", dim)
        self.weight = zero_or_above("weight", weight)
        self.alpha = as_share("alpha", alpha)
        self.register_buffer("centers", torch.zeros(classes, dim))

    def forward(self, embeddings: Tensor, labels: Labels) -> Tensor:
        """The loss of one batch; in training mode the centres move afterwards.

        Args:
            embeddings: ``[B, D]``; half precision is lifted to float32.
            labels: class numbers ``[B]``, 0 to C − 1.

        Returns:
            A scalar; 0 for an empty batch.

        Raises:
            TypeError: embeddings that are not floating point, labels that are not integers.
            ValueError: shapes that do not agree; a label out of range; NaN or infinity.
        """
        check_embeddings(
            embeddings, self.centers[:0], names=("embeddings", "the centers"), squared=True
        )
        classes = class_numbers(labels, len(self.centers), embeddings)
        x = embeddings.to(working_dtype(embeddings, self.centers))
        difference = x - self.centers[classes].to(x.dtype)
        if self.training:
            step = center_step(difference.detach(), classes, len(self.centers))
            moved = self.centers.add(step.to(self.centers.dtype), alpha=self.alpha)
            remember(self.centers, moved)
        squared = (difference * difference).sum()
        return self.weight / 2 * squared / max(len(x), 1)


def center_step(difference: Tensor, classes: Tensor, num_classes: int) -> Tensor:
    """``Σ_{y=j} (x − c_j) / (1 + n_j)`` of each class: the paper's −Δc.

    Args:
        difference: ``x − c_y``, ``[B, D]``.
        classes: int64 ``[B]``.
        num_classes: C.

    Returns:
        ``[C, D]``; 0 for a class without samples.

    Example:
        >>> center_step(torch.tensor([[3.0], [1.0]]), torch.tensor([0, 2]), 3).flatten()
        tensor([1.5000, 0.0000, 0.5000])
    """
    count = classes.new_zeros(num_classes).index_add(0, classes, torch.ones_like(classes))
    total = difference.new_zeros(num_classes, difference.shape[1])
    return total.index_add_(0, classes, difference / (1 + count[classes])[:, None])
