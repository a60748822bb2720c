"""What a distance is, and the three that are offered."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from metricface.distances.product import may_tie, squared_distances, without_rounding
from metricface.distances.unit_rows import unit_rows
from metricface.embeddings import check_embeddings, working_dtype
from metricface.torch_func import applied, differentiated_once, transformed


class _SquaredBetween(torch.autograd.Function):
    """``‖x_i − y_j‖²`` of listed rows; its gradient takes one step: small batches feel each."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        difference = x.index_select(0, rows) - y.index_select(0, columns)
        ctx.save_for_backward(difference, rows, columns)
        ctx.lengths = len(x), len(y)
        return (difference * difference).sum(1)

    @staticmethod
    @differentiated_once
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        difference, rows, columns = ctx.saved_tensors
        step = difference * (2 * grad)[:, None]
        sides = []
        for needed, count, index, sign in zip(
            ctx.needs_input_grad[:2], ctx.lengths, (rows, columns), (1, -1), strict=True
        ):
            blank = step.new_zeros(count, step.shape[1]) if needed else None
            sides.append(None if blank is None else blank.index_add_(0, index, step, alpha=sign))
        return sides[0], sides[1], None, None


class _Root(torch.autograd.Function):
    """``√s`` with the gradient ``g / 2√s``, and 0 where s is 0."""

    @staticmethod
    def forward(squared: Tensor) -> Tensor:
        return squared.sqrt()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    @differentiated_once
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (root,) = ctx.saved_tensors
        return torch.where(root > 0, gradient / (2 * root), 0.0)


@dataclass(frozen=True)
class Distance(ABC):
    """A distance between embeddings, as a rising function of the squared Euclidean one.

    Args:
        normalize: scale every embedding to length one first.
    """

    normalize: bool = True

    @abstractmethod
    def from_squared(self, squared: Tensor) -> Tensor:
        """This distance, never below 0, from the squared Euclidean one, entry by entry."""

    def prepare(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The rows to multiply: their squared distances are those this distance is made of.

        Half precision is lifted to float32, rows are normalised if asked, and where they lie far
        from the origin, :func:`centre` is subtracted from both sides.

        Args:
            x: queries ``[B, D]``.
            y: references ``[R, D]``; the queries themselves if None.

        Returns:
            Queries ``[B, D]`` and references ``[R, D]``, with their gradient.

        Example:
            >>> Euclidean(normalize=False).prepare(torch.tensor([[101.0], [103.0]]))[0].tolist()
            [[0.0], [2.0]]
        """
        dtype = working_dtype(x) if y is None else working_dtype(x, y)
        query = self.rows(x, dtype)
        reference = query if y is None else self.rows(y, dtype)
        if len(reference):
            middle = centre(reference)
            query = query - middle
            reference = query if y is None else reference - middle
        return query, reference

    def settled(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """What :meth:`block` needs where distances are ranked, made once for any number of blocks.

        As :meth:`prepare`, without a gradient. References that are identical get identical
        distances, and codes exact ones: see :mod:`metricface.distances.product`.

        Args:
            x: queries ``[B, D]``.
            y: references ``[R, D]``; the queries themselves if None.

        Returns:
            Queries and references, ``[B, D]`` and ``[R, D]`` or, where references may tie,
            float64 ``[B, S, D]`` and ``[R, S, D]``.

        Example:
            >>> x = torch.tensor([[0.1, 0.2], [0.3, 0.7], [0.1, 0.2]])
            >>> query, reference = SquaredEuclidean().settled(x)
            >>> SquaredEuclidean().block(query, reference)[0, 2].item()
            0.0
        """
        query, reference = self.prepare(x.detach(), None if y is None else y.detach())
        return without_rounding(query, reference) if may_tie(reference) else (query, reference)

    def block(self, query: Tensor, reference: Tensor) -> Tensor:
        """Distances of some prepared queries to some prepared references, ``[b, r]``."""
        return self.from_squared(squared_distances(query, reference))

    def pairwise(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Distances of all pairs by one matrix product.

        Args:
            x: queries ``[B, D]``.
            y: references ``[R, D]``; without them x is compared with itself and the diagonal
                is exactly 0.

        Returns:
            ``[B, R]``, never negative, float32 (float64 for float64 inputs).

        Raises:
            TypeError: inputs are not floating point.
            ValueError: shapes, dimensions or devices do not fit; NaN or infinite embeddings.

        Example:
            >>> x = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
            >>> SquaredEuclidean(normalize=False).pairwise(x)[0].tolist()
            [0.0, 25.0]
        """
        check_embeddings(x, y, squared=not self.normalize)
        differentiated = torch.is_grad_enabled() and (
            x.requires_grad or (y is not None and y.requires_grad)
        )
        query, reference = self.prepare(x, y) if differentiated else self.settled(x, y)
        squared = squared_distances(query, reference)
        if y is None:
            squared.fill_diagonal_(0)
        dtype = working_dtype(x) if y is None else working_dtype(x, y)
        return self.from_squared(squared.to(dtype))

    def paired(self, x: Tensor, y: Tensor) -> Tensor:
        """Distances row by row: exact, differentiable, with a finite gradient at zero.

        Args:
            x: ``[T, D]``.
            y: ``[T, D]``.

        Returns:
            ``[T]``, float32 (float64 for float64 inputs).

        Raises:
            TypeError: inputs are not floating point.
            ValueError: shapes or devices do not fit; NaN or infinite embeddings.

        Example:
            >>> x = torch.tensor([[3.0, 4.0]])
            >>> Euclidean(normalize=False).paired(x, torch.zeros(1, 2)).tolist()
            [5.0]
        """
        check_embeddings(x, y, squared=not self.normalize)
        if len(x) != len(y):
            raise ValueError(f"paired rows differ in number: {len(x)} and {len(y)}")
        dtype = working_dtype(x, y)
        difference = self.rows(x, dtype) - self.rows(y, dtype)
        return self.from_squared((difference * difference).sum(1))

    def gathered(self, x: Tensor, y: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """``paired(x[rows], y[columns])``, but each embedding is normalised only once.

        Args:
            x: ``[B, D]``.
            y: ``[R, D]``.
            rows: indices into x, int64 ``[T]``.
            columns: indices into y, int64 ``[T]``.

        Returns:
            ``[T]``, as :meth:`paired`.

        Example:
            >>> x = torch.eye(2)
            >>> first, second = torch.tensor([0]), torch.tensor([1])
            >>> SquaredEuclidean().gathered(x, x, first, second).tolist()
            [2.0]
        """
        dtype = working_dtype(x, y)
        query = self.rows(x, dtype)
        return self.between(query, query if y is x else self.rows(y, dtype), rows, columns)

    def between(self, query: Tensor, reference: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """The same of :meth:`rows` that are made already, ``[T]``."""
        if transformed():  # to torch.func the one step would have to be explained, which costs time
            difference = query.index_select(0, rows) - reference.index_select(0, columns)
            return self.from_squared((difference * difference).sum(1))
        squared = _SquaredBetween.apply(query, reference, rows, columns)  # type: ignore[no-untyped-call]
        return self.from_squared(squared)

    def rows(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """Rows in the dtype to compare in, of length one if this distance normalises."""
        lifted = x.to(dtype)
        return unit_rows(lifted) if self.normalize else lifted


def centre(rows: Tensor) -> Tensor:
    """What to subtract from rows before a matrix product of them, ``[D]``.

    Distances do not change, and the cancellation error of the product becomes relative to the
    spread of the rows, not to their length. It is one of the rows, the nearest to their mean, so
    that whole numbers stay whole. Where the mean is short (its square below half of the mean
    square of the rows) nothing is to be gained, and it is 0.

    Args:
        rows: ``[R, D]``, at least one.

    Example:
        >>> centre(torch.tensor([[101.0], [103.0], [109.0]])), centre(torch.tensor([[1.0], [-1.0]]))
        (tensor([103.]), tensor([0.]))
    """
    known = rows.detach()
    mean = known.mean(0)
    far = (mean * mean).sum() * (2 * len(known)) > torch.linalg.vector_norm(known).square()
    if known.device.type == "cpu" and not torch.compiler.is_compiling() and not far:
        return torch.zeros_like(mean)  # an accelerator would have to be waited for
    # Sums of products, and no matrix product, which autocast would take in half precision.
    # An index of one number would be looked at by the host, one of a vector is not.
    place = torch.argmin((known * known).sum(1) - 2 * (known * mean).sum(1), 0, keepdim=True)
    nearest = known.index_select(0, place).squeeze(0)
    return torch.where(far, nearest, 0.0)


@dataclass(frozen=True)
class SquaredEuclidean(Distance):
    """``D² = ‖x − y‖²``, FaceNet's distance; between 0 and 4 for unit vectors.

    Args:
        normalize: scale every embedding to length one first.

    Example:
        >>> SquaredEuclidean().paired(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 1.0]]))
        tensor([2.])

    Reference: Schroff et al., "FaceNet", CVPR 2015, section 3.1.
    """

    def from_squared(self, squared: Tensor) -> Tensor:
        """The squared distance itself."""
        return squared


@dataclass(frozen=True)
class Euclidean(Distance):
    """``D = ‖x − y‖``; between 0 and 2 for unit vectors.

    The gradient at ``D = 0`` is 0.

    Args:
        normalize: scale every embedding to length one first.

    Example:
        >>> Euclidean(normalize=False).paired(torch.tensor([[3.0]]), torch.tensor([[1.0]]))
        tensor([2.])

    Reference: Hermans et al., "In Defense of the Triplet Loss", 2017, section 2.
    """

    def from_squared(self, squared: Tensor) -> Tensor:
        """The root, with gradient 0 where the distance is 0."""
        root: Tensor = applied(_Root, squared)
        return root


@dataclass(frozen=True)
class Cosine(Distance):
    """``1 − cos(x, y) = ½‖x/‖x‖ − y/‖y‖‖²``; between 0 and 2.

    Computed as half the squared Euclidean distance of unit vectors, which keeps its precision
    where ``1 − x·y`` loses it: between vectors that are almost the same.

    Args:
        normalize: scale every embedding to length one first; False promises that they already
            are, and gives ½‖x − y‖² of whatever arrives.

    Example:
        >>> Cosine().paired(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 3.0]]))
        tensor([1.])
    """

    def from_squared(self, squared: Tensor) -> Tensor:
        """Half the squared distance."""
        return squared / 2
