"""A training that can stop after any step and go on bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from metricface.distributed import rank, world_size
from metricface.distributed.alike import on_rank_0
from metricface.distributed.rows import gather_rows
from metricface.embeddings import working_dtype
from metricface.recipes.batches import Batches
from metricface.recipes.loop.stopwatch import Stopwatch
from metricface.recipes.objective import Objective
from metricface.recipes.options import Options
from metricface.recipes.processes.asked import Asked, GlobalBatch, ToCompare
from metricface.recipes.processes.global_objective import GlobalObjective
from metricface.recipes.processes.network import (
    embedded,
    from_rank_0,
    plain,
    settle_buckets,
    shared,
)
from metricface.recipes.resuming.random_state import random_state, restore_random_state
from metricface.recipes.resuming.ranks import of_all_ranks, of_this_rank
from metricface.recipes.resuming.state_parts import load_optimizer, load_part


class Training:
    """Model, objective, optimizer and all that changes while they train.

    Args:
        model: maps inputs ``[B, …]`` to embeddings ``[B, D]``.
        objective: what the embeddings are asked.
        batches: where they come from.
        options: how to train.
        device: where.

    Raises:
        ValueError: nothing to train.
        TypeError: a schedule that does not count steps.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        batches: Batches,
        options: Options,
        *,
        device: torch.device,
    ) -> None:
        self.network, self.objective = plain(model.to(device)), objective.to(device)
        for part in (self.network, objective):
            from_rank_0([*part.parameters(), *part.buffers()])
        self.model = shared(model)
        self.together = GlobalObjective(objective)
        self.batches, self.options = batches, options
        self.optimizer = options.optimizer_of(model.parameters(), objective.parameters())
        self.scheduler = options.schedule(self.optimizer) if options.schedule else None
        if isinstance(self.scheduler, ReduceLROnPlateau):
            raise TypeError(
                "ReduceLROnPlateau waits for measurements, but a schedule is stepped once per "
                "optimizer step; take one that counts steps"
            )
        self.scaler = torch.amp.GradScaler(device.type, enabled=options.amp == torch.float16)
        self.average = None if options.ema is None else _moving_average(self.network, options.ema)
        self.watched = on_rank_0(lambda: options.monitor is not None)
        self.stopwatch = Stopwatch(device)
        self.step = 0
        self._settled = False

    def alike(self) -> None:
        """Give every rank what rank 0 has, before the model is evaluated or saved.

        Statistics are of the rows of each rank. The loss's own weights are equal, unless sums on a
        GPU come out differently every time.
        """
        own = [*self.objective.parameters(), *self.objective.buffers()]
        average = () if self.average is None else self.average.buffers()
        from_rank_0([*self.network.buffers(), *average, *own])

    @property
    def evaluated_model(self) -> nn.Module:
        """The model whose embeddings count: the moving average where there is one."""
        return self.network if self.average is None else self.average.module

    def advance(self) -> Tensor:
        """One optimizer step; returns the loss, detached.

        The loss is differentiated as far as the embeddings first, so that what it costs and what
        the network costs can be told apart; the gradient is the same.
        """
        self.model.train()
        self.objective.train()
        measure = self.stopwatch.measure
        with measure("data"):
            inputs, labels, ids = self.batches.draw()
        with measure("network"):
            if not self._settled:
                settle_buckets(self.model, partial(self._embedded, inputs[:2]))
                self._settled = True
            output = self._embedded(inputs)
            embeddings = output.detach().to(working_dtype(output)).requires_grad_()
        with measure("mining"):
            asked = self._asked(embeddings, labels, ids)
            mined = self.together.mine(asked)
        with measure("loss"):
            self.optimizer.zero_grad()
            loss = self.together.loss(asked, mined)
            shown = self._shown(asked, mined, loss) if self.watched else None
            torch.autograd.backward(self.scaler.scale(loss))
            if shown is not None and world_size() > 1 and embeddings.grad is not None:
                gradient = gather_rows(embeddings.grad, asked.counts).to(shown.device)
                torch.autograd.backward(shown, gradient)
        with measure("network"):
            if embeddings.grad is not None and output.requires_grad:
                torch.autograd.backward(output, embeddings.grad.to(output.dtype))
            self._update()
        with measure("mining"):
            self.together.remember(asked)
        self.step += 1
        return loss.detach()

    def state_dict(self) -> dict[str, Any]:
        """All that decides how the training goes on: only tensors and plain values.

        All ranks call it: each has random generators of its own.
        """
        state = {
            "step": self.step,
            "seconds": dict(self.stopwatch.seconds),
            "batches": self.batches.state_dict(),
            "random": random_state(),
            **{name: part.state_dict() for name, part in self._parts().items()},
        }
        return of_all_ranks(state)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where :meth:`state_dict` was taken, on as many ranks or on others.

        Raises:
            ValueError: a part is missing or does not fit; it is named.
        """
        state = of_this_rank(state, self.options.seed)
        loads: dict[str, Callable[[Any], object]] = {
            "step": partial(setattr, self, "step"),
            "seconds": self.stopwatch.seconds.update,
            "batches": self.batches.load_state_dict,
            **{name: part.load_state_dict for name, part in self._parts().items()},
            "optimizer": partial(load_optimizer, self.optimizer),
            "random": restore_random_state,  # the last: nothing may draw after it
        }
        for name, load in loads.items():
            load_part(state, name, load, of="training")

    def _parts(self) -> dict[str, Any]:
        parts = {
            "model": self.network,
            "objective": self.objective,
            "optimizer": self.optimizer,
            "scheduler": self.scheduler,
            "scaler": self.scaler,
            "average": self.average,
        }
        return {name: part for name, part in parts.items() if part is not None}

    def _embedded(self, inputs: Tensor) -> Tensor:
        amp = self.options.amp
        with torch.autocast(inputs.device.type, dtype=amp, enabled=amp is not None):
            return embedded(self.model, inputs, self.options.chunk)

    def _asked(self, embeddings: Tensor, labels: Tensor, ids: Tensor) -> Asked:
        """The batch of all ranks."""
        if world_size() > 1:
            return self.together.gather(embeddings, labels, ids)
        return Asked(GlobalBatch(embeddings, labels, ids), [len(embeddings)], {})

    def _shown(self, asked: Asked, mined: ToCompare, loss: Tensor) -> Tensor | None:
        """Let the monitor see the step of all ranks, on rank 0.

        Returns:
            The embeddings that it sees, which wait for their gradient; None without a miner.
        """
        picked = self.together.picked(asked, mined)
        if picked is None:
            return None
        seen = asked.rows.embeddings
        if world_size() > 1:
            seen = seen.detach().requires_grad_()
        if self.options.monitor is not None and rank() == 0:
            self.options.monitor(seen, picked, loss)
        return seen

    def _update(self) -> None:
        """The optimizer's step, and that of all that follows it."""
        if self.options.clip is not None:
            self.scaler.unscale_(self.optimizer)
            trained = [each for group in self.optimizer.param_groups for each in group["params"]]
            nn.utils.clip_grad_norm_(trained, self.options.clip)
        scale = self.scaler.get_scale()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        overflown = self.scaler.get_scale() < scale  # then the optimizer has skipped its step
        if self.scheduler is not None and not overflown:
            self.scheduler.step()
        if self.average is not None:
            self.average.update_parameters(self.network)


def _moving_average(model: nn.Module, decay: float) -> AveragedModel:
    """A copy of the model whose weights and statistics are moving averages of its own."""
    follow = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return AveragedModel(model, multi_avg_fn=follow, use_buffers=True)
