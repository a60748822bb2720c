"""The network as each of several processes trains it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from metricface.distributed import world_size
from metricface.distributed.world import travels_on
from metricface.recipes.resuming.random_state import seeded


def plain(model: nn.Module) -> nn.Module:
    """The network inside DistributedDataParallel, or the model itself.

    Example:
        >>> model = nn.Linear(2, 1)
        >>> plain(model) is model
        True
    """
    return model.module if isinstance(model, DistributedDataParallel) else model


def shared(model: nn.Module) -> nn.Module:
    """The model in DistributedDataParallel.

    One that is wrapped already, or has nothing to train, is left as it is; so is every model
    without a process group.

    Args:
        model: on its device.
    """
    trained = any(each.requires_grad for each in model.parameters())
    if world_size() == 1 or isinstance(model, DistributedDataParallel) or not trained:
        return model
    return DistributedDataParallel(model)


def embedded(model: nn.Module, inputs: Tensor, chunk: int | None) -> Tensor:
    """Embeddings ``[B, D]``, of which only a chunk at a time keeps its activations.

    Args:
        model: from :func:`shared`.
        inputs: ``[B, …]``.
        chunk: how many at a time; None takes all at once.
    """
    if chunk is None or chunk >= len(inputs):
        return one_tensor(model(inputs))
    if not isinstance(model, DistributedDataParallel):
        return _Chunked(model, chunk)(inputs)  # type: ignore[no-any-return]
    # The chunks lie inside of DDP's forward pass. It sees one pass and one gradient a step, and so
    # it reduces once.
    network = model.module
    model.module = _Chunked(network, chunk)
    try:
        return model(inputs)  # type: ignore[no-any-return]
    finally:
        model.module = network


def one_tensor(output: object) -> Tensor:
    """What a model returned, or an error that says what it is.

    Raises:
        TypeError: no tensor, as of models that return several in a tuple or a dict.
    """
    if isinstance(output, Tensor):
        return output
    held = ""
    if isinstance(output, Mapping):
        held = f" of {', '.join(map(repr, output))}"
    elif isinstance(output, (tuple, list)):
        held = f" of {len(output)}"
    raise TypeError(
        "the model must return one tensor of embeddings [B, D], got a "
        f"{type(output).__name__}{held}: wrap it in a module whose forward takes the embeddings out"
    )


def settle_buckets(model: nn.Module, run: Callable[[], Tensor]) -> None:
    """Let DistributedDataParallel arrange its buckets before the first step.

    After its first backward pass it sorts the gradients into other buckets. In which order numbers
    of three ranks are added up depends on their place in the bucket, and a training that was
    killed and goes on would differ from one that was not in the last bits of its first step.

    Args:
        model: from :func:`shared`; neither its weights nor its statistics change.
        run: calls it in training mode with a few inputs.
    """
    if not isinstance(model, DistributedDataParallel):
        return
    statistics = [each.clone() for each in model.buffers()]
    with seeded(0):
        for _ in range(2):  # they are sorted when the second forward pass begins
            output = run()
            torch.autograd.backward(output, torch.zeros_like(output))
    for parameter in model.parameters():
        parameter.grad = None
    for each, before in zip(model.buffers(), statistics, strict=True):
        each.copy_(before)


def from_rank_0(tensors: Iterable[Tensor]) -> None:
    """Overwrite tensors on every rank with those of rank 0.

    Args:
        tensors: as many on all ranks, of the same shapes and dtypes.
    """
    if world_size() == 1:
        return
    for each in tensors:
        if each.numel():
            sent = each.detach().contiguous().view(-1).view(torch.uint8).to(travels_on(each))
            dist.broadcast(sent, 0)
            each.detach().copy_(sent.to(each.device).view(each.dtype).view(each.shape))


@contextmanager
def synchronised(model: nn.Module) -> Iterator[None]:
    """Batch normalisation over the batch of all ranks while the block runs.

    Args:
        model: whose layers are torch's own; they are put back afterwards, with what they learned.

    Raises:
        ValueError: on the CPU, where torch cannot.
    """
    places = [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        if isinstance(child, _BatchNorm)
    ]
    if world_size() == 1 or not places:
        yield
        return
    device = next(model.parameters(), torch.empty(0)).device
    if device.type == "cpu":
        raise ValueError(
            "sync_batch_norm=True needs a model on a GPU: torch cannot synchronise batch "
            "normalisation on the CPU"
        )
    nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        for parent, name, child in places:
            child.train(getattr(parent, name).training)
            setattr(parent, name, child)


class _Chunked(nn.Module):
    """A network that takes some of its inputs at a time, and again on the way back."""

    def __init__(self, network: nn.Module, size: int) -> None:
        super().__init__()
        self.network, self.size = network, size

    def forward(self, inputs: Tensor) -> Tensor:
        parts = torch.split(inputs, self.size)
        found = (checkpoint(self.network, part, use_reentrant=False) for part in parts)
        return torch.cat([one_tensor(each) for each in found])
