"""Mining by rank of hardness."""

from __future__ import annotations

import torch
from torch import Tensor

from metricface.distances import Distance
from metricface.given import above_zero, as_count, as_pair
from metricface.identities import MatchBlock, places
from metricface.miners.draws import Draws, random_unit
from metricface.miners.guard import FalseNegativeGuard
from metricface.miners.miner import Miner
from metricface.types import Triplets, ragged


class RankedMiner(Miner[Triplets]):
    """Positives and negatives of chosen ranks of hardness, all of them or a draw from them.

    Rank 0 is the hardest: the farthest positive, the nearest negative. With ranges (0, 1) this
    is batch-hard mining; (1, 4) passes over the very hardest, which noisy labels spoil first.
    An anchor with too few positives or negatives gives what its ranks hold.

    Args:
        positive_rank: ``(lo, hi)``, half-open.
        negative_rank: ``(lo, hi)``, half-open.
        temperature: None combines every positive of the range with every negative of it. A
            number draws ``per_anchor`` triplets instead, a positive with probability in
            proportion to ``exp(D / temperature)`` and a negative to ``exp(−D / temperature)``:
            small is close to the hardest, large is uniform over the range.
        per_anchor: draws for each anchor; only with a temperature.
        distance: SquaredEuclidean of unit vectors by default.
        seed: start of the random sequence (``temperature``); its place in it is part of
            ``state_dict``.
        guard: passes over negatives that may be wrongly labelled.
        block_bytes: about how much extra memory mining may take, in bytes.

    Raises:
        ValueError: an empty or negative range, a temperature not above 0, per_anchor below 1.

    Example:
        >>> from metricface.distances import Euclidean
        >>> embeddings = torch.tensor([[0.0], [1.0], [2.0], [3.0], [0.4]])
        >>> miner = RankedMiner((0, 1), (1, 2), distance=Euclidean(normalize=False))
        >>> miner(embeddings, [0, 0, 1, 2, 3])  # each one's second nearest negative
        Triplets(anchor=tensor([0, 1]), positive=tensor([1, 0]), negative=tensor([2, 2]))

    Reference: Hermans et al., "In Defense of the Triplet Loss", 2017, section 2 (moderate
    positives and negatives); Yuan et al., "In Defense of the Triplet Loss Again", 2020 (softened
    hard mining).
    """

    kind = Triplets
    copies = 3

    def __init__(
        self,
        positive_rank: tuple[int, int] = (0, 1),
        negative_rank: tuple[int, int] = (0, 1),
        *,
        temperature: float | None = None,
        per_anchor: int = 1,
        distance: Distance | None = None,
        seed: int = 0,
        guard: FalseNegativeGuard | None = None,
        block_bytes: int = 256 * 2**20,
    ) -> None:
        super().__init__(distance=distance, draws=Draws(seed), guard=guard, block_bytes=block_bytes)
        self.positive_rank = _as_ranks("positive_rank", positive_rank)
        self.negative_rank = _as_ranks("negative_rank", negative_rank)
        self.temperature = None if temperature is None else above_zero("temperature", temperature)
        self.per_anchor = as_count("per_anchor", per_anchor)

    def drawing(self) -> bool:
        """Only with a temperature."""
        return self.temperature is not None

    def mine(self, distances: Tensor, block: MatchBlock) -> Triplets:
        """Rank both sides, then combine or draw."""
        far, positive = self._ranked_positives(distances, block)
        near, negative = _ranked(self.hide_(distances, block), self.negative_rank, largest=False)
        if self.temperature is not None:
            anchor, i, j = self._drawn(block, far, near, self.temperature)
            return Triplets(anchor, positive[anchor, i], negative[anchor, j])
        usable = (far > -torch.inf)[:, :, None] & (near < torch.inf)[:, None, :]
        anchor, i, j = usable.nonzero(as_tuple=True)
        return Triplets(anchor, positive[anchor, i], negative[anchor, j])

    def _ranked_positives(self, distances: Tensor, block: MatchBlock) -> tuple[Tensor, Tensor]:
        """Positives of the range, farthest first, padded with −inf; ``[b, ranks]`` each."""
        count = block.positive_count()
        _, within = ragged(count, len(block.anchor))
        width = int(block.counts[0].max())
        padded = distances.new_full((block.shape[0], width), -torch.inf)
        padded[block.anchor, within] = distances[block.anchor, block.positive]
        far, place = _ranked(padded, self.positive_rank, largest=True)
        listed = torch.zeros(padded.shape, dtype=torch.int64, device=padded.device)
        listed[block.anchor, within] = block.positive
        return far, listed.gather(1, place)

    def _drawn(
        self, block: MatchBlock, far: Tensor, near: Tensor, temperature: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Anchors, and the columns drawn for them."""
        usable = places((far > -torch.inf).any(1) & (near < torch.inf).any(1))
        anchor = usable.repeat_interleave(self.per_anchor)
        slot = torch.arange(len(anchor), device=anchor.device) % self.per_anchor
        sample = self.numbers(anchor, block)
        i = self._softmax_draw(_in_units(far[anchor], temperature), sample, 2 * slot)
        j = self._softmax_draw(_in_units(-near[anchor], temperature), sample, 2 * slot + 1)
        return anchor, i, j

    def _softmax_draw(self, hardness: Tensor, sample: Tensor, slot: Tensor) -> Tensor:
        """One column of each row with probability ``softmax(hardness)``."""
        if not len(sample):
            return sample
        weight = torch.softmax(hardness, 1).cumsum(1)
        unit = random_unit(self._key, sample, slot, weight.dtype)
        # A sum that rounds to less than 1 must still exceed what is looked for.
        target = torch.minimum(unit, torch.nextafter(weight[:, -1], torch.zeros_like(unit)))
        return torch.searchsorted(weight, target[:, None], right=True).squeeze(1)


def _in_units(hardness: Tensor, temperature: float) -> Tensor:
    """Hardness over temperature, less the largest of its row, or else it would overflow."""
    if not hardness.numel():
        return hardness
    # A smaller divisor, a subnormal number, would lose digits.
    unit = max(temperature, torch.finfo(hardness.dtype).tiny)
    return (hardness - hardness.amax(1, keepdim=True)) / unit


def _as_ranks(name: str, ranks: object) -> tuple[int, int]:
    """A half-open range of ranks, checked."""
    lo, hi = (as_count(f"each of {name}", rank, least=0) for rank in as_pair(name, ranks))
    if not lo < hi:
        raise ValueError(f"{name} must be 0 <= lo < hi, got ({lo}, {hi})")
    return lo, hi


def _ranked(values: Tensor, ranks: tuple[int, int], *, largest: bool) -> tuple[Tensor, Tensor]:
    """Values and columns of these ranks in each row, as far as the row goes."""
    most = min(ranks[1], values.shape[1])
    top, column = values.topk(most, dim=1, largest=largest)
    return top[:, ranks[0] :], column[:, ranks[0] :]
