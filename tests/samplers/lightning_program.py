"""One process of a training under Lightning: which batches it sees. Run by test_lightning.py."""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor
from torchdata.stateful_dataloader import StatefulDataLoader

from metricface.samplers import PKSampler
from tests.samplers.cases import NAMES
from tests.samplers.test_resume import Numbers, loader_of


class Watched(pl.LightningModule):  # type: ignore[misc]
    """Remembers its batches; its sampler is made once the processes have met."""

    def __init__(self, workers: int = 0, *, stateful: bool = False) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))
        self.workers, self.stateful = workers, stateful
        self.seen: list[list[int]] = []

    def train_dataloader(self) -> Any:
        sampler = PKSampler(NAMES, 4, 3)
        if self.stateful:
            return StatefulDataLoader(Numbers(), batch_sampler=sampler, num_workers=self.workers)
        return loader_of(sampler, self.workers)

    def training_step(self, batch: Tensor) -> Tensor:
        self.seen.append(batch.tolist())
        return self.weight * batch.sum()

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), 0.0)


def trainer(**settings: Any) -> Any:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    settings = {"enable_checkpointing": False, **quiet, **settings}
    return pl.Trainer(accelerator="cpu", devices=settings.pop("devices", 1), **settings)


def whole() -> Any:
    model = Watched()
    trainer(max_epochs=3).fit(model)
    return model.seen


def resumed(workers: int = 0, *, stateful: bool, **when: int) -> Any:
    """Saved at some moment, and taken up by a new trainer: the batches before and after."""
    folder = Path(sys.argv[1]).with_suffix("") / f"{workers} {stateful} {when}"
    stopped = Watched(workers, stateful=stateful)
    saving = ModelCheckpoint(folder, "saved", **when)
    steps = when.get("every_n_train_steps", 5)
    trainer(max_steps=steps, enable_checkpointing=True, callbacks=[saving]).fit(stopped)
    model = Watched(workers, stateful=stateful)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trainer(max_epochs=3).fit(model, ckpt_path=folder / "saved.ckpt")
    warned = any("dataloader is not resumable" in str(each.message) for each in caught)
    return {"batches": stopped.seen + model.seen, "warned": warned}


def two_processes(**settings: Any) -> Any:
    model = Watched()
    try:
        trainer(max_epochs=2, devices=2, strategy="ddp", **settings).fit(model)
    except TypeError as error:
        return str(error)
    return model.seen


if __name__ == "__main__":
    found = {
        "whole": whole(),
        "in an epoch": resumed(stateful=True, every_n_train_steps=7),
        "in an epoch, workers": resumed(2, stateful=True, every_n_train_steps=7),
        "in the first epoch, workers": resumed(2, stateful=True, every_n_train_steps=2),
        "at its last batch": resumed(stateful=True, every_n_train_steps=5),
        "in an epoch, plain": resumed(stateful=False, every_n_train_steps=7),
        "between epochs": resumed(stateful=True, every_n_epochs=1),
        "between epochs, workers": resumed(2, stateful=True, every_n_epochs=1),
        "between epochs, plain": resumed(stateful=False, every_n_epochs=1),
        "between epochs, plain, workers": resumed(2, stateful=False, every_n_epochs=1),
    }
    if "RANK" in os.environ:
        found = {
            "theirs": two_processes(),
            "ours": two_processes(use_distributed_sampler=False),
        }
    Path(sys.argv[1]).write_text(json.dumps(found))
