"""The batch of all ranks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy.typing as npt
import torch
from torch import Tensor

from metricface.distributed.facts import FLOATS, Facts, agreed
from metricface.distributed.keys import KINDS, Keys, from_bytes
from metricface.distributed.rows import WithGradient, gather_rows
from metricface.distributed.world import rank, travels_on, world_size
from metricface.embeddings import check_embeddings
from metricface.types import Labels


class Gathered(NamedTuple):
    """A batch of all ranks, in rank order; code that expects a plain 3-tuple can take it."""

    embeddings: Tensor
    """``[N, D]``."""
    labels: Tensor | npt.NDArray[Any]
    """int64 ``[N]`` on the device of the embeddings, or an array of strings."""
    ids: Tensor | npt.NDArray[Any] | None
    """The same, or None."""


class Share(NamedTuple):
    """The batch of all ranks, and which part of it is whose."""

    batch: Gathered
    counts: list[int]
    """Rows of each rank ``[W]``."""
    parameters: list[Tensor]
    """As they were given, but with a gradient that is the mean over the ranks."""


def gather_batch(embeddings: Tensor, labels: Labels, ids: Labels | None = None) -> Gathered:
    """All ranks' rows in rank order, which is the batch one process would have had.

    Every rank has to call it, and where a loss is made of the result, has to call ``backward``.
    Ranks may bring different numbers of rows, or none. Backward gives each rank the **sum** over
    the ranks of the gradient of its own rows: where every rank computes its share of one loss,
    that is the gradient of the whole loss. Two collectives forward (some facts, then the rows),
    one backward. Without a process group the batch is that of this process.

    Args:
        embeddings: ``[n, D]``; D and dtype are those of the other ranks.
        labels: ``[n]`` integers below 2^63 or strings; they arrive exactly.
        ids: which sample of the data set each row is ``[n]``; on all ranks or on none.

    Returns:
        Embeddings ``[N, D]``, labels ``[N]`` and ids ``[N]`` or None.

    Raises:
        TypeError: without a process group, arguments of the wrong type.
        ValueError: on every rank, if any rank's arguments are wrong (NaN or infinity among
            them), or if ranks disagree on dimension, dtype, kind of labels or having ids.
        RuntimeError: a rank has died, at the latest after the process group's timeout.

    Example:
        >>> gather_batch(torch.eye(2), [3, 1]).labels  # one process
        tensor([3, 1])
    """
    return gather_share(embeddings, labels, ids).batch


def gather_share(
    embeddings: Tensor,
    labels: Labels,
    ids: Labels | None = None,
    parameters: Sequence[Tensor] = (),
) -> Share:
    """As :func:`gather_batch`, with what a loss needs to compute a rank's share.

    Args:
        embeddings: ``[n, D]``.
        labels: ``[n]``.
        ids: ``[n]``.
        parameters: of the loss, the same on all ranks, all to be trained.

    Raises:
        TypeError: as :func:`gather_batch`.
        ValueError: as :func:`gather_batch`.

    Example:
        >>> gather_share(torch.eye(2), [3, 1]).counts  # one process
        [2]
    """
    if world_size() == 1:
        own = _Part.of(embeddings, labels, ids)
        batch = Gathered(embeddings, own.labels.values, own.ids and own.ids.values)
        return Share(batch, [len(embeddings)], list(parameters))
    try:
        own = _Part.of(embeddings, labels, ids)
    except (TypeError, ValueError) as error:  # the others have to hear of it, or they wait
        agreed(Facts(broken=1), travels_on(embeddings), str(error))
        raise
    backward = torch.is_grad_enabled() and (embeddings.requires_grad or len(parameters) > 0)
    facts = agreed(own.facts()._replace(gradient=int(backward)), travels_on(embeddings))
    batch, counts = own.gathered(facts), [each.rows for each in facts]
    if not torch.is_grad_enabled() or not any(each.gradient for each in facts):
        return Share(batch, counts, list(parameters))
    # Where one rank goes backward all have to, those without a gradient of their own too.
    rows = embeddings if embeddings.requires_grad else embeddings.detach().requires_grad_()
    every, *shared = WithGradient.apply(  # type: ignore[no-untyped-call]
        rows, batch.embeddings, counts, rank(), *parameters
    )
    return Share(batch._replace(embeddings=every), counts, shared)


class _Part(NamedTuple):
    """What one rank brings, checked."""

    embeddings: Tensor
    labels: Keys
    ids: Keys | None

    @classmethod
    def of(cls, embeddings: Tensor, labels: Labels, ids: Labels | None) -> _Part:
        # The facts that the ranks tell one another are waited for in any case.
        check_embeddings(embeddings, at_once=world_size() > 1)
        given = {"labels": labels} if ids is None else {"labels": labels, "ids": ids}
        keys = {name: Keys.of(given[name], name, embeddings.device) for name in given}
        for name, each in keys.items():
            if len(each.values) != len(embeddings):
                raise ValueError(
                    f"{len(embeddings)} embeddings came with {len(each.values)} {name}"
                )
        return cls(embeddings, keys["labels"], keys.get("ids"))

    def facts(self) -> Facts:
        ids = Keys("i", 1, self.labels.values) if self.ids is None else self.ids
        return Facts(
            broken=0,
            rows=len(self.embeddings),
            dim=self.embeddings.shape[1],
            dtype=FLOATS.index(self.embeddings.dtype),
            has_ids=int(self.ids is not None),
            label_kind=KINDS.index(self.labels.kind),
            label_width=self.labels.width,
            id_kind=KINDS.index(ids.kind),
            id_width=ids.width,
        )

    def gathered(self, facts: list[Facts]) -> Gathered:
        """The rows of all ranks, embeddings, labels and ids in one table of bytes."""
        x, counts = self.embeddings, [each.rows for each in facts]
        told = [each for each in facts if each.rows] or facts
        label_kind, id_kind = KINDS[told[0].label_kind], KINDS[told[0].id_kind]
        columns = [x.detach().contiguous().view(torch.uint8)]
        columns += [self.labels.as_bytes(label_kind, max(each.label_width for each in told))]
        if self.ids is not None:
            columns += [self.ids.as_bytes(id_kind, max(each.id_width for each in told))]
        table = gather_rows(torch.cat([each.to(x.device) for each in columns], 1), counts)
        parts = torch.split(table, [each.shape[1] for each in columns], 1)
        every = parts[0].contiguous().view(x.dtype).view(sum(counts), x.shape[1]).to(x.device)
        labels = from_bytes(parts[1], label_kind, x.device)
        ids = None if self.ids is None else from_bytes(parts[2], id_kind, x.device)
        return Gathered(every, labels, ids)
