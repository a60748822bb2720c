"""What a training step did: how much was mined, how far apart, how hard, and collapse."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from metricface.diagnostics.collapse import CollapseWatch
from metricface.diagnostics.logs import Log
from metricface.diagnostics.measured_step import MeasuredStep
from metricface.distances import Distance, SquaredEuclidean
from metricface.distances.given import check_distance
from metricface.given import above_zero, arrived, as_count
from metricface.identities.mined_indices import check_indices
from metricface.types import Pairs, Triplets


class BatchMonitor:
    """Watches embeddings, mined indices and loss of every step, without making the device wait.

    What is measured stays on the device until the next step (or :meth:`flush`), when it has
    long been computed, and then goes to the logs as one flat dict of floats:

    - ``step``, ``loss``; ``positives`` and ``negatives``, the number of pairs mined;
    - ``active``: share of triplets with ``D(a,p) − D(a,n) + margin > 0`` (for
      :class:`Pairs`, of negative pairs with ``D < margin``);
    - ``positive_q05`` … ``negative_q95``: quantiles of the mined distances; NaN where none;
    - ``norm_mean``, ``norm_std`` of the embeddings as they arrive, and ``spread``, their mean
      distance to the batch's mean once normalised as the distance says;
    - ``gradient_share``: ``(Σ‖g‖)² / (B·Σ‖g‖²)`` of the gradients of the B embeddings: 1 where
      all samples pull alike, 1/B where one pulls alone; NaN before a backward pass;
    - ``collapse``: 1 where embeddings contract to a point, else 0.

    **Collapse.** Where all distances are equal a hinge loss equals its margin (softplus: log 2).
    It is flagged when over ``window`` steps the loss stays within ``tolerance`` of that value
    while the spread falls below half of what it was at the start of training.
    :attr:`explanation` then says so in one line, and a warning says it once.

    Args:
        *logs: callables that take the dict.
        margin: of the loss, in the units of the distance, or ``"soft"``.
        distance: that of the loss.
        every: measure one step out of this many.
        window: steps for which the loss has to stay there.
        tolerance: how near to the margin, as a share of it.

    Raises:
        TypeError: an every or window that is not whole, a margin or tolerance that is no number.
        ValueError: every or window below 1, margin or tolerance not above 0.

    Example:
        >>> import torch
        >>> records = []
        >>> monitor = BatchMonitor(records.append, margin=0.2)
        >>> x = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]], requires_grad=True)
        >>> one = torch.tensor([0])
        >>> monitor(x, Triplets(one, one + 1, one + 2), torch.tensor(0.0))
        >>> monitor.flush()
        >>> round(records[0]["positive_q50"], 3), records[0]["active"]
        (0.8, 0.0)

    Reference:
        Hermans et al., "In Defense of the Triplet Loss" (2017), section 4.2 and appendix D.
    """

    def __init__(
        self,
        *logs: Log,
        margin: float | Literal["soft"] = 0.2,
        distance: Distance | None = None,
        every: int = 1,
        window: int = 50,
        tolerance: float = 0.1,
    ) -> None:
        if isinstance(margin, str) and margin != "soft":
            raise ValueError(f"margin must be a number or 'soft', got {margin!r}")
        self.margin = margin if isinstance(margin, str) else above_zero("margin", margin)
        self.every = as_count("every", every)
        self.distance = SquaredEuclidean() if distance is None else check_distance(distance)
        #: The latest reason why ``collapse`` is 1, or None.
        self.explanation: str | None = None
        self.step = 0
        self._logs, self._pending = logs, list[MeasuredStep]()
        self._collapse = CollapseWatch(
            self.margin, as_count("window", window), above_zero("tolerance", tolerance)
        )

    def __call__(
        self,
        embeddings: Tensor,
        indices: Triplets | Pairs | Sequence[Tensor],
        loss: Tensor,
        ref_emb: Tensor | None = None,
    ) -> None:
        """Take note of a step; best called between the loss and its backward pass.

        Args:
            embeddings: what the loss was given ``[B, D]``; if it requires a gradient, that is
                looked at as it passes.
            indices: what was mined: 3 or 4 index vectors.
            loss: scalar.
            ref_emb: what they were mined against ``[R, D]``, if not the batch itself, such as the
                embeddings of a memory.

        Raises:
            TypeError: indices that are no index vectors, a loss that is no tensor.
            ValueError: another number of index vectors, indices of rows that are not there.
        """
        self.flush()
        self.step += 1
        if (self.step - 1) % self.every:
            return
        if not isinstance(loss, Tensor):
            raise TypeError(f"loss must be a tensor, got {arrived(loss)}")
        vectors = check_indices(indices, embeddings, ref_emb)
        step = MeasuredStep(
            self.step, embeddings, vectors, loss, self.distance, self.margin, ref_emb
        )
        self._pending.append(step)

    def flush(self) -> None:
        """Hand the last step to the logs; call it once more when training ends."""
        while self._pending:
            record = self._pending.pop().record()
            explanation = self._collapse.see(record["loss"], record["spread"])
            record["collapse"] = float(explanation is not None)
            if explanation is not None and self.explanation is None:
                warnings.warn(f"step {int(record['step'])}: {explanation}", stacklevel=3)
            self.explanation = explanation
            for log in self._logs:
                log(record)
