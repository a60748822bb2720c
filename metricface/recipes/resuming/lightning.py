"""What Lightning leaves out of its checkpoints: the sampler's place."""

from __future__ import annotations

import warnings
from typing import Any

from torch import nn

from metricface.samplers import IdentitySampler

_KEY = "metricface"
_FALSE_ALARM = "You're resuming from a checkpoint that ended before the epoch ended"


def lightning_resume(*modules: nn.Module) -> Any:
    """A callback by which a training under Lightning goes on at the exact batch.

    Lightning keeps the weights, the optimizers, and whatever else is part of the
    ``LightningModule``, miners included. Of a plain ``DataLoader`` it keeps nothing: a training
    that ended in the midst of an epoch would begin it anew. This callback keeps the place of the
    sampler in every checkpoint, and restores it, with any number of processes and workers.

    Args:
        modules: what else is to be kept, in the same order at every start: miners, losses,
            memories that are no part of the ``LightningModule``.

    Returns:
        For ``Trainer(callbacks=[...])``.

    Raises:
        ImportError: Lightning is not installed.
        ValueError: while fitting: on several processes without ``use_distributed_sampler=False``;
            not exactly one loader with a sampler of this library, or one that keeps a state of
            its own; a checkpoint of another sampler or of other modules.

    Example:
        >>> callback = lightning_resume()  # doctest: +SKIP
        >>> trainer = Trainer(callbacks=[callback, ModelCheckpoint(...)])  # doctest: +SKIP
    """
    from lightning.pytorch.callbacks import LambdaCallback

    kept = _Kept(modules)
    return LambdaCallback(
        setup=kept.check,
        on_train_start=kept.restore,
        on_train_batch_end=kept.after_batch,
        on_save_checkpoint=kept.save,
        on_load_checkpoint=kept.load,
    )


class _Kept:
    """The hooks, and what they know of each other."""

    def __init__(self, modules: tuple[nn.Module, ...]) -> None:
        self._modules = modules
        self._sampler: IdentitySampler | None = None
        self._loaded: dict[str, Any] | None = None

    def check(self, trainer: Any, module: Any, stage: str) -> None:
        """Refuse a sampler of Lightning's beside ours; without the callback, Lightning does."""
        told = getattr(trainer, "_accelerator_connector", None)
        if trainer.world_size > 1 and getattr(told, "use_distributed_sampler", False):
            raise ValueError(
                "the sampler gives each process its part, and Lightning would put one of its own "
                "in its place: pass Trainer(..., use_distributed_sampler=False)"
            )

    def load(self, trainer: Any, module: Any, checkpoint: dict[str, Any]) -> None:
        """Take what was kept: the modules now, the sampler once it is made."""
        self._loaded = checkpoint.get(_KEY)
        if self._loaded is None:
            if trainer.state.fn != "fit":  # others need no place
                return
            raise ValueError(
                "the checkpoint was saved without lightning_resume(), so the sampler's place is "
                "not in it: resume without this callback, from the end of an epoch"
            )
        states = self._loaded["modules"]
        if len(states) != len(self._modules):
            raise ValueError(
                f"lightning_resume() was given {len(self._modules)} modules beside the "
                f"LightningModule, and the checkpoint holds {len(states)}"
            )
        for each, state in zip(self._modules, states, strict=True):
            each.load_state_dict(state)

    def restore(self, trainer: Any, module: Any) -> None:
        """Send the sampler to its place, before it is asked for the first batch."""
        loader, self._sampler = _only(trainer)
        loaded, self._loaded = self._loaded, None
        if loaded is None:
            return
        self._sampler.load_state_dict(loaded["sampler"])
        warnings.filterwarnings("ignore", message=_FALSE_ALARM)
        if loader.num_workers:  # they have been sent other batches already
            iter(trainer.fit_loop._data_fetcher)

    def after_batch(self, trainer: Any, module: Any, outputs: Any, batch: Any, number: int) -> None:
        """Note the place; after the last batch it is the next epoch's first."""
        if self._sampler is not None:
            ended = number + 1 >= trainer.num_training_batches
            self._sampler.reached(trainer.current_epoch + ended, 0 if ended else number + 1)

    def save(self, trainer: Any, module: Any, checkpoint: dict[str, Any]) -> None:
        """Put the place, and the other modules, into the checkpoint."""
        if self._sampler is not None:
            modules = [each.state_dict() for each in self._modules]
            checkpoint[_KEY] = {"sampler": self._sampler.state_dict(), "modules": modules}


def _only(trainer: Any) -> tuple[Any, IdentitySampler]:
    """The loader with a sampler of ours, and that."""
    from lightning.pytorch.utilities import CombinedLoader

    loaders = CombinedLoader(trainer.train_dataloader).flattened
    found = [
        (each, each.batch_sampler)
        for each in loaders
        if isinstance(getattr(each, "batch_sampler", None), IdentitySampler)
    ]
    if len(found) != 1:
        raise ValueError(
            f"lightning_resume() keeps the place of one sampler, and {len(found)} of the "
            f"{len(loaders)} training loaders have a sampler of metricface as batch_sampler="
        )
    if hasattr(found[0][0], "load_state_dict"):
        raise ValueError(
            f"a {type(found[0][0]).__name__} keeps its place itself, and Lightning saves it: give "
            "a plain DataLoader, or leave lightning_resume() out"
        )
    return found[0]
