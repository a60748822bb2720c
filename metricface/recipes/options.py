"""How to train, apart from what is trained on what."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer

from metricface.diagnostics import BatchMonitor
from metricface.given import above_zero, arrived, as_count, as_count_or_none, as_number
from metricface.recipes.batches import Augment, InputsOf
from metricface.recipes.schedules import Schedule
from metricface.recipes.validation import unseen_identities

Evaluate = Callable[[Tensor, Tensor], dict[str, float]]


@dataclass(frozen=True)
class Options:
    """What all recipes understand; the defaults train a small network on one device.

    Attributes:
        lr: learning rate of the model.
        loss_lr: that of the loss's own parameters (class weights, β); None takes ``lr``.
        optimizer: makes the optimizer from parameter groups that bring their learning rates;
            None is Adam.
        schedule: makes any of torch's schedulers that count steps; None keeps the rates.
        amp: ``torch.bfloat16`` or ``torch.float16`` runs the model under autocast (with a
            gradient scaler for float16); mining and losses stay in float32.
        ema: decay of an exponential moving average of weights and statistics, such as 0.999; it is
            what is evaluated and returned.
        sync_batch_norm: on several processes, batch normalisation over the batch of all of them
            (torch's SyncBatchNorm, on GPUs); else each normalises its own part.
        chunk: run the model over so many inputs at a time and compute their activations anew on
            the way back: the exact gradient of a large batch in the memory of a small one (batch
            normalisation sees chunks, and counts each twice in its running statistics). Adding up
            the gradients of small batches, as is usual elsewhere, is not the same: their samples
            would never meet in a triplet.
        clip: largest norm of the gradient; None does not clip.
        augment: changes each batch of inputs at random; called with the batch and a generator.
        batch: takes the inputs from a collated batch of items where these are not, and do not
            begin with, an input: of dicts ``operator.itemgetter("image")``. Labels come from the
            dataset all the same.
        workers: processes that fetch.
        evaluate_every: steps between evaluations, each followed by a checkpoint.
        evaluate: what is measured on validation embeddings and labels.
        metric: which of those numbers decides what is best; larger is better.
        patience: stop after so many evaluations without a better one; None runs to the end.
        restore_best: end with the weights of the best evaluation rather than of the last.
        monitor: sees embeddings, indices and loss of every step in which a miner picks them, but
            not what it picks of a memory; of several processes the batch of all, on rank 0.
        tensorboard: write ``tensorboard/`` into the run folder.
        seed: of the augmentation and of what draws from global generators (dropout, other
            libraries' miners); those are put back as they were. Ranks draw differently.
        device: where to train; None is where the model is.
        progress: show a bar; needs tqdm.

    Raises:
        ValueError: a number out of its range, another dtype than those, a metric of which larger is
            not better, an optimizer that brings a learning rate.
        TypeError: a number that is none or is not whole, a metric that is no name, an optimizer
            that is made already.

    Example:
        >>> Options(lr=3e-4, ema=0.999).evaluate_every
        100
    """

    lr: float = 1e-3
    loss_lr: float | None = None
    optimizer: Callable[[Iterable[dict[str, Any]]], Optimizer] | None = None
    schedule: Schedule | None = None
    amp: torch.dtype | None = None
    ema: float | None = None
    sync_batch_norm: bool = False
    chunk: int | None = None
    clip: float | None = None
    augment: Augment | None = None
    batch: InputsOf | None = None
    workers: int = 0
    evaluate_every: int = 100
    evaluate: Evaluate = unseen_identities
    metric: str = "recall_at_1"
    patience: int | None = None
    restore_best: bool = True
    monitor: BatchMonitor | None = None
    tensorboard: bool = False
    seed: int = 0
    device: str | torch.device | None = None
    progress: bool = True

    def __post_init__(self) -> None:
        as_count("evaluate_every", self.evaluate_every)
        as_count("workers", self.workers, 0)
        as_count("seed", self.seed, 0)
        for name in ("chunk", "patience"):
            as_count_or_none(name, getattr(self, name))
        for name in ("lr", "loss_lr", "clip"):
            value = getattr(self, name)
            if value is not None or name == "lr":
                above_zero(name, value)
        if self.ema is not None and not 0 < as_number("ema", self.ema) < 1:
            raise ValueError(f"ema must be between 0 and 1, got {self.ema}")
        _check_metric(self.metric)
        _check_optimizer(self.optimizer)
        if self.amp not in (None, torch.bfloat16, torch.float16):
            raise ValueError(f"amp must be torch.bfloat16, torch.float16 or None, got {self.amp}")

    def optimizer_of(
        self, parameters: Iterable[torch.nn.Parameter], own: Iterable[torch.nn.Parameter]
    ) -> Optimizer:
        """The optimizer of the model's parameters and of the loss's own, frozen ones left out.

        Args:
            parameters: of the model.
            own: of the loss.

        Raises:
            ValueError: everything is frozen.
        """
        # plain numbers, whatever came: the optimizer's state keeps them
        rates = (float(self.lr), float(self.lr if self.loss_lr is None else self.loss_lr))
        groups = [
            {"params": trained, "lr": rate}
            for some, rate in zip((parameters, own), rates, strict=True)
            if (trained := [each for each in some if each.requires_grad])
        ]
        if not groups:
            raise ValueError("nothing to train: all parameters are frozen")
        return Adam(groups) if self.optimizer is None else self.optimizer(groups)


def _check_metric(name: object) -> None:
    """Refuse what no evaluation is better for having more of."""
    if not isinstance(name, str):
        raise TypeError(
            f"metric must be the name of a number that evaluate gives, got {arrived(name)}"
        )
    if name in ("step", "seconds", "loss", "eer") or name.endswith("_seconds"):
        raise ValueError(
            f"metric decides what is best, and larger is better, but not of {name!r}: take "
            "'recall_at_1', 'map_at_r', 'accuracy' or 'auc', or let evaluate= give a number of "
            "another name that grows with what you want"
        )


def _check_optimizer(make: object) -> None:
    """Refuse what makes no optimizer, or makes one at rates that are not those of the options."""
    if isinstance(make, partial) and "lr" in make.keywords:
        raise ValueError(
            f"optimizer brings lr={make.keywords['lr']}, which the parameter groups' own rates "
            f"would override: give Options(lr={make.keywords['lr']}) instead"
        )
    if make is not None and not callable(make):
        raise TypeError(
            "optimizer must make one from parameter groups, such as the class torch.optim.SGD or "
            f"functools.partial(torch.optim.SGD, momentum=0.9), got {arrived(make)}"
        )
