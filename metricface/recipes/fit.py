"""The training loop around samplers, miners and losses."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from metricface.distributed import rank
from metricface.distributed.alike import everywhere, on_rank_0
from metricface.given import check_instance
from metricface.memory import CrossBatchMemory
from metricface.recipes.batches import Batches, BatchSampler, Labelled, identity_numbers
from metricface.recipes.look_alikes import LookAlikes
from metricface.recipes.loop.history import History, Row
from metricface.recipes.loop.measuring import measured
from metricface.recipes.loop.refusals import check_asked, check_whole
from metricface.recipes.loop.settings import check_agreed, training_settings
from metricface.recipes.loop.training import Training
from metricface.recipes.loop.watching import Watch
from metricface.recipes.objective import Objective
from metricface.recipes.options import Options
from metricface.recipes.processes.network import plain, synchronised
from metricface.recipes.resuming.checkpoints import Checkpoints
from metricface.recipes.resuming.random_state import seeded
from metricface.recipes.resuming.ranks import rank_seed
from metricface.samplers import HardIdentitySampler, IdentitySampler


@dataclass(frozen=True)
class Fit:
    """What a training leaves behind.

    Attributes:
        model: with its final weights, in evaluation mode.
        history: one flat row of numbers per evaluation: ``step``, ``seconds`` of training (and
            ``data_seconds``, ``network_seconds``, ``mining_seconds``, ``loss_seconds``), the mean
            ``loss`` since the row before, and what :attr:`Options.evaluate` measures.
        step: steps taken.
        best_step: whose evaluation was best; None without validation.
    """

    model: nn.Module
    history: list[Row]
    step: int
    best_step: int | None


def fit(
    model: nn.Module,
    data: Labelled,
    loss: nn.Module | Sequence[nn.Module],
    *,
    sampler: BatchSampler,
    steps: int,
    miner: Callable[..., Sequence[Tensor]] | None = None,
    memory: CrossBatchMemory | None = None,
    look_alikes: LookAlikes | None = None,
    validation: Labelled | None = None,
    folder: str | os.PathLike[str] | None = None,
    options: Options | None = None,
) -> Fit:
    """Train a model, watch it on unseen identities, and survive being killed.

    Any module, any sampler of this library, any loss, classifier or miner of this library or of
    pytorch-metric-learning. Classifiers find identities numbered 0 to C − 1 in the sorted order
    of the labels.

    The model is evaluated before the first step, every ``options.evaluate_every`` steps and at the
    end. With a ``folder``, a checkpoint is written after every evaluation. The same call again goes
    on from there and ends with the same weights, bit for bit, as if it had never stopped; called
    once more it returns at once. Changed settings are refused by name, a checkpoint that is not
    byte for byte what was written is refused, and so is a second training in the same folder.

    In a process group all ranks make the same call and train on the batch of all of them; rank 0
    writes and shows. On another number of ranks a training goes on where the sampler's
    ``p * world_size`` is the same.

    Args:
        model: maps inputs ``[B, …]`` to embeddings ``[B, D]``; changed in place.
        data: the training set, with ``.labels`` or ``.targets``; item ``i`` is an input, or begins
            with one, unless ``options.batch`` takes the inputs from a batch of items.
        loss: one, or several to add up, or an :class:`Objective` that weighs them.
        sampler: batches of the data's indices.
        steps: optimizer steps, at least 1.
        miner: picks what the losses look at; None means all of the batch.
        memory: past embeddings that the batch is compared with besides.
        look_alikes: let identities that look alike meet; needs a ``HardIdentitySampler``.
        validation: other identities to evaluate on.
        folder: for ``checkpoint.pt``, the one before it, and ``tensorboard/``; None writes nothing.
        options: all the rest.

    Returns:
        The model and its history.

    Raises:
        ValueError: settings that contradict each other, a sampler that was made for other labels, a
            folder with other settings or a broken checkpoint, a loss that is no longer finite.
        TypeError: data without labels, a sampler that cannot be resumed, a loss that takes no
            labels, a model that returns no tensor, a class where an instance is wanted, a state
            that could not be loaded again.
        ImportError: tqdm or TensorBoard is wanted and missing.
        BlockingIOError: another training uses the folder.
        OSError: the disk is full; the last checkpoint is kept.

    Example:
        >>> import numpy as np
        >>> from metricface.data import ImageSet
        >>> from metricface.losses import TripletLoss
        >>> from metricface.miners import SemiHardMiner
        >>> from metricface.samplers import PKSampler
        >>> pixels = np.random.default_rng(0).integers(0, 256, (40, 8, 8), np.uint8)
        >>> people = ImageSet(pixels, np.arange(40) // 4, tuple("abcdefghij"))
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(64, 16))
        >>> done = fit(
        ...     model,
        ...     people,
        ...     TripletLoss(),
        ...     miner=SemiHardMiner(),
        ...     sampler=PKSampler(people.labels, p=5, k=4),
        ...     steps=4,
        ...     options=Options(evaluate_every=2, progress=False),
        ... )
        >>> [row["step"] for row in done.history]
        [0.0, 2.0, 4.0]
    """
    check_instance("model", model)
    chosen = Options() if options is None else options
    network, objective = plain(model), _objective(loss, miner, memory)
    first = next(model.parameters(), torch.empty(0))
    device = first.device if chosen.device is None else torch.device(chosen.device)

    def settings() -> dict[str, Any]:
        check_asked(steps, sampler, look_alikes, validation, folder, chosen)
        check_whole(network, objective)
        if isinstance(sampler, IdentitySampler):
            sampler.check_made_for(identity_numbers(data))
        model.to(device)  # before the generators are looked at: this may wake those of the device
        return training_settings(
            network,
            data,
            objective,
            sampler=sampler,
            steps=steps,
            look_alikes=look_alikes,
            validation=validation,
            options=chosen,
        )

    agreed = everywhere(settings)
    check_agreed({**agreed, "folder": None if folder is None else str(folder)})
    checkpoints = None if folder is None else Checkpoints(folder, agreed)
    with ExitStack() as during:
        if checkpoints is not None:
            during.enter_context(checkpoints.alone())
        if chosen.sync_batch_norm:
            during.enter_context(synchronised(network))
        during.enter_context(seeded(rank_seed(chosen.seed)))
        training = _training(model, data, objective, sampler, look_alikes, chosen, device)
        history = _run(training, steps, validation, checkpoints, chosen)
    weights = history.best.weights if history.best and chosen.restore_best else None
    network.load_state_dict(weights or training.evaluated_model.state_dict())
    best_step = history.best.step if history.best else None
    return Fit(model.eval(), history.rows, training.step, best_step)


def _objective(
    loss: nn.Module | Sequence[nn.Module],
    miner: Callable[..., Sequence[Tensor]] | None,
    memory: CrossBatchMemory | None,
) -> Objective:
    if not isinstance(loss, Objective):
        return Objective(loss, miner=miner, memory=memory)
    if miner is not None or memory is not None:
        raise ValueError("an Objective brings its own miner and memory, but others were given")
    return loss


def _training(
    model: nn.Module,
    data: Labelled,
    objective: Objective,
    sampler: BatchSampler,
    look_alikes: LookAlikes | None,
    options: Options,
    device: torch.device,
) -> Training:
    """All parts put together on the device."""

    def refresh(epoch: int) -> None:
        if look_alikes is not None and isinstance(sampler, HardIdentitySampler):
            training.alike()  # each rank embeds a part
            evaluated = training.evaluated_model
            look_alikes.refresh(
                sampler,
                evaluated,
                data,
                epoch=epoch,
                workers=options.workers,
                amp=options.amp,
                batch=options.batch,
            )

    batches = Batches(
        data,
        sampler,
        augment=options.augment,
        workers=options.workers,
        seed=rank_seed(options.seed),
        device=device,
        inputs_of=options.batch,
        before_epoch=None if look_alikes is None else refresh,
    )
    training = Training(model, objective, batches, options, device=device)
    return training


def _run(
    training: Training,
    steps: int,
    validation: Labelled | None,
    checkpoints: Checkpoints | None,
    options: Options,
) -> History:
    """Step, evaluate, save: from the last checkpoint to the end."""
    history = History(None if validation is None else options.metric, keep=options.restore_best)
    resumed = checkpoints is not None and checkpoints.restore(training, history)
    if options.monitor is not None and rank() == 0:
        options.monitor.step = training.step
    folder = None if checkpoints is None or rank() > 0 else checkpoints.folder
    losses: list[Tensor] = []

    def take_stock() -> None:
        if options.monitor is not None and rank() == 0:
            options.monitor.flush()  # before the checkpoint: the steps so far come no more
        training.alike()
        row = measured(training, losses, validation, options)
        losses.clear()
        history.add(row, training.evaluated_model)
        on_rank_0(lambda: watch.show(row))
        if checkpoints is not None:
            checkpoints.save(training=training.state_dict(), history=history.state_dict())

    made = partial(
        Watch,
        steps=steps,
        step=training.step if resumed else None,
        progress=options.progress and rank() == 0,
        tensorboard=folder / "tensorboard" if folder and options.tensorboard else None,
        metric=options.metric,
    )
    with everywhere(made) as watch:
        if not resumed:
            take_stock()
        while training.step < steps and not history.exhausted(options.patience):
            losses.append(training.advance())
            watch.advance()
            if training.step % options.evaluate_every == 0 or training.step == steps:
                take_stock()
    training.batches.settle()
    return history
