"""A classifier whose classes are split over processes, and of which some may be sampled."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.func import functional_call

from metricface.classifiers.class_sampling import sampled_classes
from metricface.classifiers.class_shard import check_head, keep_own_, local
from metricface.classifiers.classifier import Classifier, Products
from metricface.distributed import world_size
from metricface.distributed.facts import Facts, agreed
from metricface.distributed.gather import gather_share
from metricface.distributed.merging import merged
from metricface.distributed.world import travels_on
from metricface.embeddings import working_dtype
from metricface.given import as_count, as_number
from metricface.types import Labels


class ShardedClassifier(nn.Module):
    """Any classifier of this library with its classes split over the processes, exactly.

    Each of W processes keeps C/W of the class weights, compares the batch of all processes with
    these, and tells the others two or three numbers for each row: the softmax over all classes
    is put together from the largest logit and the sum of exponentials of each. Value and
    gradient are those of the head on one process with the whole batch; no process ever holds all
    weights, or logits of all classes.

    The convention is that of :class:`~metricface.recipes.GlobalBatchLoss`: backward gives W times
    the gradient of the own rows, which DistributedDataParallel around the network, averaging,
    makes exact. The head's own parameters get their gradient as it is: leave it out of DDP.

    With ``sample_rate`` r < 1, in training mode, it is PartialFC: each process compares with those
    of its classes that are in the batch and with random others of its own, rC/W together (more
    only if more are in the batch, and at least one). They are drawn by seed and step. The others
    get gradient 0, with which momentum and weight decay go on moving them.

    On several processes ``head.weight`` is a DTensor (torch 2.5 or later): optimizers,
    ``clip_grad_norm_`` and ``torch.distributed.checkpoint`` take it for the whole of which each
    process holds its part, so that a checkpoint can be loaded on any number of processes. Without
    a process group all classes are here, and the head is as it was.

    Args:
        head: is taken over, and keeps only the classes of this process. Built within
            ``torch.device("meta")`` it is never there as a whole: its weights are drawn here, as
            they would have been, some thousand rows at a time.
        sample_rate: r, above 0 and at most 1.
        seed: of the sampled classes, in ``[0, 2**63)``; the step is part of ``state_dict``.

    Raises:
        TypeError: a head that is no classifier, a setting of the wrong type.
        ValueError: a setting out of its range, a head whose loss does not come apart by class,
            ranks with other heads or settings.

    Example:
        >>> from metricface.classifiers import ArcFace
        >>> head = ArcFace(1000, 8)
        >>> classifier = ShardedClassifier(head, sample_rate=0.1)
        >>> loss = classifier(torch.eye(8), range(8))
        >>> loss.backward()
        >>> int(head.weight.grad.any(1).sum())  # of 1000
        100

    Reference: An et al., "Partial FC: Training 10 Million Identities on a Single Machine", ICCV
    workshops 2021; "Killing Two Birds with One Stone: Efficient and Robust Training of Face
    Recognition CNNs by Partial FC", CVPR 2022.
    """

    def __init__(self, head: Classifier, *, sample_rate: float = 1.0, seed: int = 0) -> None:
        super().__init__()
        check_head(head)
        self.sample_rate = as_number("sample_rate", sample_rate)
        if not 0 < self.sample_rate <= 1:
            raise ValueError(f"sample_rate must be above 0 and at most 1, got {sample_rate}")
        if int(self.sample_rate * head.num_classes) < 2 <= head.num_classes:
            raise ValueError(
                f"sample_rate {sample_rate} leaves fewer than two of {head.num_classes} classes"
            )
        self.seed, self.step = as_count("seed", seed, 0), 0
        if self.seed >= 1 << 63:
            raise ValueError(f"seed must be in [0, 2**63), got {seed}")
        _check_alike(f"{head}, sample_rate={self.sample_rate}, seed={self.seed}")
        self.world_size = world_size()
        self.classes = keep_own_(head)
        self.head = head
        self._local_rows: dict[nn.Parameter, nn.Parameter] = {}

    def forward(self, embeddings: Tensor, labels: Labels) -> Tensor:
        """The loss of the batch of all ranks.

        Args:
            embeddings: this rank's ``[n, D]``; n may differ between ranks, and be 0.
            labels: class numbers ``[n]``, 0 to C − 1.

        Returns:
            A scalar, equal on all ranks.

        Raises:
            TypeError: on one process, arguments of the wrong type.
            ValueError: on every rank, if any rank's arguments are wrong, or those of ranks do
                not fit together.
            RuntimeError: a rank has died; there are more or fewer processes than at first.
        """
        if world_size() != self.world_size:
            raise RuntimeError(
                f"the classes were split over {self.world_size} processes, but there are "
                f"{world_size()} now: build the classifier after init_process_group"
            )
        try:
            _, own_labels = self.head.checked(embeddings, labels)
        except (TypeError, ValueError) as error:
            if self.world_size > 1:  # the others have to hear of it, or they wait
                agreed(Facts(broken=1), travels_on(embeddings), str(error))
            raise
        by_class = self.head.by_class()
        shared = {
            f"head.{name}": parameter
            for name, parameter in self.head.named_parameters()
            if name not in by_class and parameter.requires_grad
        }
        batch, _, parameters = gather_share(embeddings, own_labels, None, list(shared.values()))
        classes = torch.as_tensor(batch.labels)
        place, here, own = self._places(
            classes, {name: local(parameter) for name, parameter in by_class.items()}
        )
        value: Tensor = functional_call(
            _Step(self.head),
            dict(zip(shared, parameters, strict=True)),
            (batch.embeddings, place, here, own),
        )
        return value

    def local_parameters(self) -> list[nn.Parameter]:
        """All parameters, those that are split as plain ones: the rows of this process.

        For an optimizer that does not take DTensors. The rows share their memory with the
        classifier's, and get its gradient instead of it.

        Example:
            >>> from metricface.classifiers import ArcFace
            >>> classifier = ShardedClassifier(ArcFace(10, 4))
            >>> optimizer = torch.optim.Rprop(classifier.local_parameters())
        """
        for each in self.parameters():
            # Once for each: a gradient can be handed over to one only.
            if hasattr(each, "placements") and each not in self._local_rows:
                self._local_rows[each] = _local(each)
        return [self._local_rows.get(each, each) for each in self.parameters()]

    def _places(
        self, classes: Tensor, own: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor, Mapping[str, Tensor]]:
        """Where in this process's rows each class is, whether it is, and the rows to look at."""
        here = (classes >= self.classes.start) & (classes < self.classes.stop)
        place = torch.where(here, classes - self.classes.start, 0)
        if not self.training:
            return place, here, own
        self.step += 1
        if self.sample_rate == 1:
            return place, here, own
        count = max(int(self.sample_rate * len(self.classes)), min(len(self.classes), 1))
        some = sampled_classes(classes, self.classes, count, self.seed, self.step)
        place = torch.where(here, torch.searchsorted(some, place), 0)
        return place, here, {name: rows[some] for name, rows in own.items()}

    def get_extra_state(self) -> Tensor:
        """Seed and number of steps so far."""
        return torch.tensor([self.seed, self.step])

    def set_extra_state(self, state: Tensor) -> None:
        """Go on from a ``state_dict``."""
        self.seed, self.step = (int(value) for value in state)

    def extra_repr(self) -> str:
        """Which classes are here, and how many of them are looked at."""
        here = f"classes={self.classes.start}…{self.classes.stop - 1}" if self.classes else "none"
        return f"{here}, sample_rate={self.sample_rate}"


class _Step(nn.Module):
    """The loss of the gathered batch, as a module whose parameters can be replaced in a call."""

    def __init__(self, head: Classifier) -> None:
        super().__init__()
        self.head = head

    def forward(
        self, embeddings: Tensor, place: Tensor, here: Tensor, rows: Mapping[str, Tensor]
    ) -> Tensor:
        x = embeddings.to(working_dtype(embeddings, rows["weight"]))
        queries = self.head.queries(x)
        if world_size() == 1:
            return self._of(x, self.head.products(queries, place, rows))
        # What is compared with the own classes is a part of the gradient of the rows, and the
        # other ranks have the rest; what else depends on the rows, all ranks compute alike. The
        # sum over ranks is to be W times the whole.
        queries = queries.view_as(queries)
        if queries.requires_grad:
            queries.register_hook(_times_world_size)  # type: ignore[no-untyped-call]
        value = self._of(x, self._merged(queries, place, here, rows))
        return value + embeddings[:0].sum()  # so that a rank without classes goes backward too

    def _of(self, x: Tensor, products: Products) -> Tensor:
        return self.head.reduced(self.head.terms(x, products))

    def _merged(
        self, queries: Tensor, place: Tensor, here: Tensor, rows: Mapping[str, Tensor]
    ) -> Products:
        """The products with the classes of all ranks."""
        nobody = len(rows["weight"]) == 0
        if nobody:  # compares with one row of zeros, so that its gradient has a history as well
            rows = {n: torch.cat([x, x.new_zeros(1, *x.shape[1:])]) for n, x in rows.items()}
        target, rest, length = self.head.products(queries, place, rows)
        # A row whose class is elsewhere was given any; that one is among its others.
        rest = torch.where(here, rest, torch.logaddexp(rest, target))
        if nobody:
            rest = torch.full_like(rest, -torch.inf)
        parts = [target] if length is None else [target, length]
        rest, summed = merged(rest, torch.stack([torch.where(here, x, 0.0) for x in parts]))
        return Products(summed[0], rest, None if length is None else summed[1])


def _local(spread: nn.Parameter) -> nn.Parameter:
    """The rows of this process as a parameter, to which gradients are handed over."""
    rows = nn.Parameter(local(spread).detach(), requires_grad=spread.requires_grad)

    def hand_over(whole: Tensor) -> None:
        if whole.grad is not None:
            own = local(whole.grad).detach()
            rows.grad = own if rows.grad is None else rows.grad + own
            whole.grad = None

    if spread.requires_grad:
        spread.register_post_accumulate_grad_hook(hand_over)  # type: ignore[no-untyped-call]
    return rows


def _times_world_size(gradient: Tensor) -> Tensor:
    return gradient * world_size()


def _check_alike(description: str) -> None:
    """Raise on every rank unless all of them build the same."""
    if world_size() == 1:
        return
    every = [""] * world_size()
    dist.all_gather_object(every, description)
    for place, other in enumerate(every):
        if other != every[0]:
            raise ValueError(
                f"the ranks of one classifier must agree, but rank {place} of {len(every)} has "
                f"{other} and rank 0 has {every[0]}"
            )
