"""What a batch of embeddings is asked: losses, with a miner and a memory where there are any."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from metricface.given import arrived, check_instance, zero_or_above
from metricface.losses import DeepID2Loss
from metricface.memory import CrossBatchMemory
from metricface.recipes.resuming.unregistered import restore_unregistered, unregistered


class Against(NamedTuple):
    """What the losses compare: one entry for the batch itself, one for the memory.

    Without a miner ``indices`` is None, and a loss uses all it is defined on.
    """

    indices: Sequence[Tensor] | None
    ref_emb: Tensor | None = None
    ref_labels: Tensor | None = None
    ref_ids: Tensor | None = None


class Objective(nn.Module):
    """One or several losses on mined indices, added up; against past batches too.

    ``L = Σ_i w_i ℓ_i(batch) + memory_weight · Σ_i w_i ℓ_i(batch, memory)``

    Takes the losses and miners of this library and of pytorch-metric-learning alike: each part
    is told what its ``forward`` can be told. A classifier, which compares with its own weights,
    is not asked about indices or references, nor is the one within
    :class:`~metricface.losses.DeepID2Loss`. An image of the batch is not compared with what the
    memory knows of the same image; where a part cannot be told the ids, all that the memory knows
    of the batch's images is left out.

    Args:
        loss: a loss or classifier, or several to add up, such as ``[Softmax(…), CenterLoss(…)]``.
        weights: w, one for each loss, 0 or above; None means 1.
        miner: picks what the losses look at; None means all of the batch.
        memory: past embeddings the batch is compared with besides, once it has warmed up.
        memory_weight: what that part counts, 0 or above.

    Raises:
        TypeError: a loss that is no module, or takes no labels; a weight that is no number.
        ValueError: no loss, another number of weights or one below 0, a miner or a memory that no
            loss can use.

    Example:
        >>> import torch
        >>> from metricface.losses import TripletLoss
        >>> from metricface.miners import SemiHardMiner
        >>> objective = Objective(TripletLoss(), miner=SemiHardMiner())
        >>> x, labels = torch.rand(6, 4), torch.tensor([0, 0, 1, 1, 2, 2])
        >>> objective(x, labels, torch.arange(6)).shape
        torch.Size([])

    Reference: for the memory Wang et al., "Cross-Batch Memory for Embedding Learning", CVPR 2020.
    """

    def __init__(
        self,
        loss: nn.Module | Sequence[nn.Module],
        *,
        weights: Sequence[float] | None = None,
        miner: Callable[..., Sequence[Tensor]] | None = None,
        memory: CrossBatchMemory | None = None,
        memory_weight: float = 1.0,
    ) -> None:
        super().__init__()
        losses = list(loss) if isinstance(loss, Sequence) else [loss]
        for each in losses:
            _check_loss(each)
        check_instance("miner", miner)
        check_instance("memory", memory)
        if not losses:
            raise ValueError("there is no loss to train with")
        if weights is not None and not isinstance(weights, Iterable):
            raise TypeError(f"weights must be numbers, one for each loss, got {arrived(weights)}")
        given = [1.0] * len(losses) if weights is None else weights
        self.weights = [zero_or_above(f"weights[{n}]", each) for n, each in enumerate(given)]
        if len(self.weights) != len(losses):
            raise ValueError(f"{len(losses)} losses came with {len(self.weights)} weights")
        self.losses = nn.ModuleList(losses)
        self.miner = miner
        self.memory = memory
        self.memory_weight = zero_or_above("memory_weight", memory_weight)
        self.takes = [_takes(each) for each in losses]
        self._miner_takes = frozenset[str]() if miner is None else _takes(miner)
        if miner is not None and not any("indices" in takes for takes in self.takes):
            raise ValueError(f"{_names(losses)} cannot use what a miner picks")
        if memory is not None:
            comparing = [takes for takes in self.takes if "ref_emb" in takes]
            if not comparing:
                raise ValueError(f"{_names(losses)} cannot compare with a memory")
            if miner is not None and "ref_emb" not in self._miner_takes:
                raise ValueError(f"{type(miner).__name__} cannot mine a memory")
            # with a miner it picks for all but the losses that take no indices
            choosing = [takes for takes in comparing if miner is None or "indices" not in takes]
            choosing += [] if miner is None else [self._miner_takes]
            self._told_ids = all("ids" in takes for takes in choosing)

    def mine(self, embeddings: Tensor, labels: Tensor, ids: Tensor) -> list[Against]:
        """What to compare: the batch with itself, and with the memory if it has anything.

        Args:
            embeddings: ``[B, D]``; looked at without gradient.
            labels: ``[B]``.
            ids: which sample of the data set each row is ``[B]``.
        """
        x = embeddings.detach()
        references = [Against(None), *self.past(ids)]
        return [each._replace(indices=self._picked(x, labels, ids, each)) for each in references]

    def past(self, ids: Tensor) -> list[Against]:
        """What the memory holds, as far as a batch may meet it; empty where that is nothing.

        Args:
            ids: which samples are in the batch ``[B]``.
        """
        if self.memory is None:
            return []
        embeddings, labels, known = self.memory.reference()
        if not self._told_ids:
            other = torch.isin(known, ids, invert=True)
            embeddings, labels, known = embeddings[other], labels[other], known[other]
        return [Against(None, embeddings, labels, known)] if len(known) else []

    def loss(
        self,
        embeddings: Tensor,
        labels: Tensor,
        ids: Tensor,
        mined: Sequence[Against],
        *,
        which: Collection[int] | None = None,
    ) -> Tensor:
        """The sum of all losses over what :meth:`mine` found.

        Args:
            embeddings: ``[B, D]``.
            labels: ``[B]``.
            ids: ``[B]``.
            mined: of the same batch.
            which: numbers of the losses to add up; None is all.

        Returns:
            A scalar.

        Raises:
            TypeError: a loss that gives anything but one number.
        """
        total = embeddings.new_zeros(())
        numbers = range(len(self.losses)) if which is None else which
        for against in mined:
            past = against.ref_emb is not None
            for number in numbers:
                weight, loss, takes = self.weights[number], self.losses[number], self.takes[number]
                if past and "ref_emb" not in takes:
                    continue  # a classifier has said all it can about the batch
                if past and isinstance(loss, DeepID2Loss):  # so has the one within
                    weight, loss = weight * loss.weight, loss.verification
                indices = [against.indices] if "indices" in takes else []
                value = loss(embeddings, labels, *indices, **_told(takes, against, ids))
                value = _one_number(value, loss)
                total = total + (self.memory_weight * weight if past else weight) * value
        return total

    def remember(self, embeddings: Tensor, labels: Tensor, ids: Tensor) -> None:
        """Put the batch into the memory, for the steps to come."""
        if self.memory is not None:
            self.memory.push(embeddings.detach(), labels, ids)

    def forward(self, embeddings: Tensor, labels: Tensor, ids: Tensor) -> Tensor:
        """Mine, add up the losses, and remember the batch.

        Args:
            embeddings: ``[B, D]``.
            labels: ``[B]``.
            ids: which sample of the data set each row is ``[B]``.
        """
        total = self.loss(embeddings, labels, ids, self.mine(embeddings, labels, ids))
        self.remember(embeddings, labels, ids)
        return total

    def get_extra_state(self) -> dict[str, Any]:
        """What parts of other libraries remember outside their ``state_dict``."""
        return unregistered(self)

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Go on from a ``state_dict``."""
        restore_unregistered(self, state)

    def _picked(
        self, x: Tensor, labels: Tensor, ids: Tensor, against: Against
    ) -> Sequence[Tensor] | None:
        if self.miner is None:
            return None
        return self.miner(x, labels, **_told(self._miner_takes, against, ids))


def _check_loss(loss: object) -> None:
    check_instance("loss", loss)
    if not isinstance(loss, nn.Module):
        raise TypeError(f"a loss must be a module, got {type(loss).__name__}")
    second = [*inspect.signature(loss.forward).parameters][1:2]
    if second == ["ref_emb"] or "labels_not_supported" in _refuses(loss):
        raise TypeError(
            f"{type(loss).__name__} takes no labels: it is for data without identities, "
            "and cannot be trained with here"
        )


def _takes(part: Callable[..., Any]) -> frozenset[str]:
    """Which of indices, references and ids a loss or a miner can be told."""
    part = part.verification if isinstance(part, DeepID2Loss) else part  # told all that it is told
    call = part.forward if isinstance(part, nn.Module) else part
    names, refused = set(inspect.signature(call).parameters), _refuses(part)
    found = names & {"ids"}
    inner = getattr(part, "miner", None)
    if inner is not None:  # a loss that mines inside tells its miner all that it is told
        found &= _takes(inner)
    if "ref_emb" in names and "ref_not_supported" not in refused:
        found.add("ref_emb")
    # the third argument, under either library's name
    if names & {"indices", "indices_tuple"} and "indices_tuple_not_supported" not in refused:
        found.add("indices")
    return frozenset(found)


def _refuses(part: object) -> Sequence[str]:
    """The names that a loss of pytorch-metric-learning uses, its checks among them.

    All those losses have the same arguments, and refuse one by calling a check such as
    ``ref_not_supported``. That call stands nowhere but in their code, and calling the loss to see
    would change what it remembers.
    """
    rule = getattr(part, "compute_loss", None)
    names: Sequence[str] = getattr(getattr(rule, "__code__", None), "co_names", ())
    return names


def _one_number(value: object, loss: nn.Module) -> Tensor:
    if isinstance(value, Tensor) and value.numel() == 1:
        return value.reshape(())
    got = f"shape {list(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
    raise TypeError(f"{type(loss).__name__} must give one number to train on, got {got}")


def _told(takes: frozenset[str], against: Against, ids: Tensor) -> dict[str, Any]:
    """References and ids as keyword arguments, as far as there are any and they are taken."""
    told: dict[str, Any] = {"ids": ids} if "ids" in takes else {}
    if against.ref_emb is not None:
        told.update(ref_emb=against.ref_emb, ref_labels=against.ref_labels)
        if "ids" in takes:
            told["ref_ids"] = against.ref_ids
    return told


def _names(losses: Sequence[nn.Module]) -> str:
    return " and ".join(type(each).__name__ for each in losses)
