"""One network trained with one method, able to stop and go on bit for bit."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from benchmarks.convergence.batches import Batches
from benchmarks.convergence.folds import Fold
from benchmarks.convergence.methods import Method
from benchmarks.convergence.network import SmallConvNet
from benchmarks.convergence.settings import Settings
from benchmarks.convergence.stopwatch import Stopwatch


@runtime_checkable
class Stateful(Protocol):
    """A miner or loss with something to keep over a restart."""

    def state_dict(self) -> dict[str, Any]:
        """What to keep."""
        ...

    def load_state_dict(self, state: dict[str, Any], /) -> Any:
        """Take back what was kept."""
        ...


class Training:
    """The state of one cell and its step.

    Initial weights depend on the seed, batches on the seed and the fold: for two methods both
    are the same. Methods that draw from torch's global generator find it in the same state too,
    and its state is kept with the rest.

    Args:
        method: gives the miner and the loss.
        fold: the images to train on.
        settings: network, batch and optimizer.
        seed: of the initial weights, the batches and the miner.
    """

    def __init__(self, method: Method, fold: Fold, settings: Settings, *, seed: int) -> None:
        device = torch.device(settings.device)
        torch.manual_seed(seed)
        self.network = SmallConvNet(settings.dim).to(device)
        self.miner, self.loss = method.build(seed)
        parameters = list(self.network.parameters())
        if isinstance(self.loss, nn.Module):
            self.loss.to(device)
            parameters += self.loss.parameters()
        self.optimizer = torch.optim.Adam(parameters, lr=settings.lr)
        self.batches = Batches(fold.train_images, fold.train_labels, settings, seed=seed)
        self.stopwatch = Stopwatch(device)
        self.step = 0

    def advance(self) -> Tensor:
        """One optimizer step; returns the loss, detached.

        The loss is differentiated as far as the embeddings first, so that its own time and the
        network's can be told apart; the gradient is the same.
        """
        self.network.train()
        measure = self.stopwatch.measure
        with measure("data"):
            images, labels = self.batches.draw()
        with measure("network"):
            output = self.network(images)
            embeddings = output.detach().requires_grad_()
        with measure("mining"):
            indices = self.miner(embeddings.detach(), labels) if self.miner else None
        with measure("loss"):
            self.optimizer.zero_grad()
            loss = self.loss(embeddings, labels, indices)
            loss.backward()  # type: ignore[no-untyped-call]
        with measure("network"):
            output.backward(embeddings.grad)
            self.optimizer.step()
        self.step += 1
        return loss.detach()

    @torch.no_grad()
    def embed(self, images: Tensor, chunk: int = 1024) -> Tensor:
        """Embeddings ``[N, D]`` of images ``[N, 1, H, W]``, without augmentation."""
        self.network.eval()
        return torch.cat([self.network(part) for part in torch.split(images, chunk)])

    def state_dict(self) -> dict[str, Any]:
        """All that decides how the training goes on: only tensors and plain values."""
        on_cuda = self.stopwatch.device.type == "cuda"
        return {
            "step": self.step,
            "seconds": dict(self.stopwatch.seconds),
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "batches": self.batches.state_dict(),
            "miner": _state(self.miner),
            "loss": _state(self.loss),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state(self.stopwatch.device) if on_cuda else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where :meth:`state_dict` was taken."""
        self.step = state["step"]
        self.stopwatch.seconds = dict(state["seconds"])
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.batches.load_state_dict(state["batches"])
        _take_back(self.miner, state["miner"])
        _take_back(self.loss, state["loss"])
        torch.set_rng_state(state["random"])
        if state["random_cuda"] is not None:
            torch.cuda.set_rng_state(state["random_cuda"], self.stopwatch.device)


def _state(part: object) -> dict[str, Any]:
    return part.state_dict() if isinstance(part, Stateful) else {}


def _take_back(part: object, state: dict[str, Any]) -> None:
    if isinstance(part, Stateful):
        part.load_state_dict(state)
