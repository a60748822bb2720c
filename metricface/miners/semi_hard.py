"""Semi-hard mining: FaceNet's rule and VGG-Face's."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from metricface.distances import Distance
from metricface.given import above_zero
from metricface.identities import MatchBlock
from metricface.miners.compilation import dense
from metricface.miners.draws import Draws, random_words
from metricface.miners.miner import Miner
from metricface.miners.ordered_bits import (
    chunks,
    float_bits,
    in_lanes,
    next_beyond,
    threshold_bits,
    wrap_shift,
)
from metricface.types import Triplets


class SemiHardMiner(Miner[Triplets]):
    """For every anchor–positive pair a negative farther than the positive, but not by much.

    A negative of the pair (a, p) is semi-hard if ``D(a,p) < D(a,n) < D(a,p) + margin``, both
    strict, in the miner's distance: *squared* Euclidean of unit vectors, as in FaceNet. All
    pairs of the batch are asked; a pair without a semi-hard negative gives no triplet, unless
    ``otherwise`` says so.

    ==================  ===============================================================
    FaceNet             the defaults
    TensorFlow's loss   ``bounded=False, otherwise="easiest"``
    VGG-Face            ``negative="random", include_hard=True`` (any margin violator)
    ==================  ===============================================================

    Args:
        margin: width of the band, in the distance's unit, above 0. Without ``bounded`` unused.
        negative: ``"hardest"`` takes the nearest of the pair's semi-hard negatives,
            ``"random"`` any of them with equal probability.
        bounded: False drops the upper bound.
        include_hard: True drops the lower bound.
        otherwise: what a pair gets that has no such negative: ``"skip"`` no triplet,
            ``"easiest"`` the farthest negative of the anchor.
        distance: SquaredEuclidean of unit vectors by default.
        seed: start of the random sequence (``negative="random"``); its place in it is part of
            ``state_dict``.
        block_bytes: about how much extra memory mining may take, in bytes.
        compiled: run the dense inner steps under torch.compile: the same answer, sooner; the
            first call takes seconds.

    Raises:
        ValueError: a margin that is not above 0, an unknown ``negative`` or ``otherwise``.

    Example:
        >>> from metricface.distances import SquaredEuclidean
        >>> embeddings = torch.tensor([[0.0], [1.0], [0.5], [1.1], [9.0]])
        >>> miner = SemiHardMiner(margin=0.5, distance=SquaredEuclidean(normalize=False))
        >>> miner(embeddings, [0, 0, 1, 2, 3])  # D²(0,1) = 1: 0.25 is too near, 1.21 is not
        Triplets(anchor=tensor([0]), positive=tensor([1]), negative=tensor([3]))

    Reference: Schroff et al., "FaceNet", CVPR 2015, eq. 4; Parkhi et al., "Deep Face
    Recognition", BMVC 2015, section 4.4.
    """

    kind = Triplets

    def __init__(
        self,
        margin: float = 0.2,
        negative: Literal["hardest", "random"] = "hardest",
        bounded: bool = True,  # noqa: FBT001, FBT002  (the published signature)
        *,
        include_hard: bool = False,
        otherwise: Literal["skip", "easiest"] = "skip",
        distance: Distance | None = None,
        seed: int = 0,
        block_bytes: int = 256 * 2**20,
        compiled: bool = False,
    ) -> None:
        super().__init__(distance=distance, block_bytes=block_bytes, compiled=compiled)
        if negative not in ("hardest", "random"):
            raise ValueError(f"negative must be 'hardest' or 'random', got {negative!r}")
        if otherwise not in ("skip", "easiest"):
            raise ValueError(f"otherwise must be 'skip' or 'easiest', got {otherwise!r}")
        self.margin = above_zero("margin", margin)
        self.negative = negative
        self.bounded = bounded
        self.include_hard = include_hard
        self.otherwise = otherwise
        self.draws = Draws(seed)
        self._key = 0

    def begin(self, dim: int) -> None:
        """A fresh key for this batch."""
        self._key = self.draws.next_key()

    def mine(self, distances: Tensor, block: MatchBlock) -> Triplets:
        """At most one triplet for each positive pair."""
        anchor, positive = block.anchor, block.positive
        to_positive = distances[anchor, positive]
        above = torch.full_like(to_positive, -1.0) if self.include_hard else to_positive
        below = to_positive + self.margin if self.bounded else torch.full_like(above, torch.inf)
        block.hide_(distances)
        if self.negative == "hardest":
            nearest, negative = next_beyond(distances, anchor, above, compiled=self.compiled)
            found = nearest < below
        else:
            slot = block.start + anchor, positive
            found, negative = random_between(
                distances, anchor, above, below, self._key, slot, compiled=self.compiled
            )
        if self.otherwise == "easiest":
            farthest, easiest = distances.where(distances < torch.inf, -1.0).max(1)
            negative = torch.where(found, negative, easiest[anchor])
            found = farthest[anchor] >= 0
        return Triplets(anchor[found], positive[found], negative[found])


def random_between(
    distances: Tensor,
    row: Tensor,
    above: Tensor,
    below: Tensor,
    key: int,
    slot: tuple[Tensor, Tensor],
    *,
    compiled: bool = False,
) -> tuple[Tensor, Tensor]:
    """For each (row, above, below) a random column with ``above < distance < below``.

    Every such column is equally likely: each column has a random odd word, each question
    another, and the largest product wins.

    Args:
        distances: non-negative, ``[b, R]``; inf where an entry is not to be found.
        row: which row to search, int64 ``[T]``.
        above: strict lower bound, ``[T]``; −1 for none.
        below: strict upper bound, ``[T]``.
        key: 64-bit key of this call.
        slot: two integers that name the question, int64 ``[T]`` each.
        compiled: run the inner step under torch.compile.

    Returns:
        Whether there is one, bool ``[T]``, and the column, int64 ``[T]``.

    Example:
        >>> d, zero = torch.tensor([[0.1, 0.2, 0.3]]), torch.tensor([0])
        >>> low, high = torch.tensor([0.1]), torch.tensor([0.3])
        >>> random_between(d, zero, low, high, 7, (zero, zero))
        (tensor([True]), tensor([1]))
    """
    bits = in_lanes(float_bits(distances))
    shift = wrap_shift(threshold_bits(above))
    limit = float_bits(below) + shift
    every = torch.arange(bits[0].numel(), device=bits.device).view(bits.shape[1:])
    column_word = random_words(key, every, every.new_tensor(-1)).to(bits.dtype) | 1
    question_word = random_words(key, *slot).to(bits.dtype) | 1
    if compiled:
        pick = dense(largest_word_below, compiled=True)
        best, column = pick(bits, row, shift, limit, column_word, question_word)
    else:
        best, column = torch.empty_like(question_word), torch.empty_like(row)
        # One for all chunks: fresh memory costs more than the work.
        scratch = bits.new_empty(0), bits.new_empty(0)
        for part in chunks(len(row), distances.shape[1], distances):
            best[part], column[part] = largest_word_below(
                bits,
                row[part],
                shift[part],
                limit[part],
                column_word,
                question_word[part],
                (scratch[0].resize_(0), scratch[1].resize_(0)),
            )
    return best > 0, column


def largest_word_below(
    bits: Tensor,
    row: Tensor,
    shift: Tensor,
    limit: Tensor,
    column_word: Tensor,
    question_word: Tensor,
    scratch: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Largest ``column_word · question_word`` where ``bits[row] + shift < limit``, and where.

    In two steps, as :func:`~metricface.miners.ordered_bits.smallest_shifted`.

    Args:
        bits: ``[b, S, lanes]`` integers.
        row: ``[T]``.
        shift: ``[T]``, added with wrap-around.
        limit: ``[T]``.
        column_word: odd integers like bits, ``[S, lanes]``.
        question_word: odd integers like bits, ``[T]``.
        scratch: two empty tensors like bits whose memory may be used.

    Returns:
        The product without its sign bit, 0 (which no product of odd words is) where there is
        none, ``[T]``, and its column, int64 ``[T]``.

    Example:
        >>> one, words = torch.tensor([0]), torch.tensor([3, 5, 7])
        >>> bits = torch.tensor([[[1, 2, 3]]])
        >>> largest_word_below(bits, one, one, torch.tensor([3]), words[None], words[:1])[1]
        tensor([1])
    """
    first, second = scratch or (None, None)
    largest = torch.iinfo(bits.dtype).max
    picked = torch.index_select(bits, 0, row, out=first).add_(shift[:, None, None])
    # Written as integers: selecting by a boolean mask costs many times a multiplication.
    inside = torch.lt(picked, limit[:, None, None], out=first)
    word = torch.mul(column_word, question_word[:, None, None], out=second)
    lane = word.bitwise_and_(largest).mul_(inside).amax(1).argmax(1)
    inside = bits[row, :, lane] + shift[:, None] < limit[:, None]
    word = column_word[:, lane].T * question_word[:, None] & largest
    best, fold = (word * inside).max(1)
    return best, fold * bits.shape[2] + lane
