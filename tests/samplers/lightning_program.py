"""One process of a training under Lightning: which batches it sees. Run by test_lightning.py."""

from __future__ import annotations

import json
import os
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from metricface.losses import TripletLoss
from metricface.miners import RandomMiner, SemiHardMiner
from metricface.recipes import GlobalBatchLoss, lightning_resume
from metricface.samplers import PKSampler
from tests.samplers.cases import NAMES
from tests.samplers.test_resume import Numbers, loader_of

WHO = torch.tensor([int(name[7:]) for name in NAMES])
IMAGES = torch.randn(len(NAMES), 4, generator=torch.Generator().manual_seed(0))


class Watched(pl.LightningModule):  # type: ignore[misc]
    """Remembers its batches; its sampler is made once the processes have met."""

    def __init__(self, workers: int = 0, *, p: int = 4, stateful: bool = False) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))
        self.workers, self.p, self.stateful = workers, p, stateful
        self.seen: list[list[int]] = []

    def train_dataloader(self) -> Any:
        sampler = PKSampler(NAMES, self.p, 3)
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


class Trained(Watched):
    """Learns, by a miner that draws; another one, no part of it, draws too."""

    def __init__(self, workers: int = 0, last: int | None = None, *, p: int = 4) -> None:
        super().__init__(workers, p=p)
        torch.manual_seed(0)
        self.network = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Linear(8, 3))
        self.loss = GlobalBatchLoss(TripletLoss(), SemiHardMiner(negative="random"))
        self.beside = [RandomMiner()]
        self.last = last
        self.weight.requires_grad_(False)  # for DDP it would be one without a gradient

    def on_train_batch_start(self, batch: Tensor, number: int) -> None:
        if self.global_step == self.last:
            raise Killed

    def training_step(self, batch: Tensor) -> Tensor:
        self.seen.append(batch.tolist())
        x, labels = IMAGES[batch], WHO[batch]
        drawn = self.beside[0](x, labels)
        embeddings = self.network(x)
        value: Tensor = self.loss(embeddings, labels, batch)
        value += TripletLoss()(embeddings, labels, drawn)
        return value

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), 0.1, momentum=0.9)

    def weights(self) -> list[float]:
        return torch.cat([each.detach().flatten() for each in self.parameters()]).tolist()


class Shuffled(Watched):
    """Without a sampler of ours."""

    def train_dataloader(self) -> Any:
        return DataLoader(Numbers(), batch_size=12, shuffle=True)


class Killed(Exception):  # noqa: N818
    """Ends a training at once."""


def fitted(model: Trained, *others: Any, saved: Path | None = None, **settings: Any) -> None:
    callbacks = [*others, lightning_resume(*model.beside)]
    several = {"devices": 2, "strategy": "ddp", "use_distributed_sampler": False}
    settings = {**(several if "RANK" in os.environ else {}), **settings}
    checkpoints = {"enable_checkpointing": bool(others), "callbacks": callbacks}
    environment = dict(os.environ)
    try:
        trainer(max_epochs=3, **checkpoints, **settings).fit(model, ckpt_path=saved)
    finally:
        os.environ.update(environment)  # Lightning removes what torchrun had set


def killed(workers: int, when: dict[str, int], last: int, **settings: Any) -> Any:
    """Killed before some step, begun again from the last checkpoint, and as it would be whole."""
    folder = Path(sys.argv[1]).parent / f"{workers} {when} {settings}"
    whole, stopped, model = Trained(), Trained(workers, last), Trained(workers)
    saving = ModelCheckpoint(folder, "saved", **when)
    with suppress(Killed):
        fitted(stopped, saving, **settings)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted(model, saved=folder / "saved.ckpt", **settings)
    fitted(whole, **settings)
    return {
        "same weights": model.weights() == whole.weights() != stopped.weights(),
        "the rest": model.seen == whole.seen[len(whole.seen) - len(model.seen) :],
        "steps": [len(stopped.seen), len(model.seen)],
        "warned": any("not resumable" in str(each.message) for each in caught),
    }


def killed_in_many_ways() -> Any:
    """Five batches are an epoch of one process, two of two."""
    if "RANK" in os.environ:
        return [
            killed(0, {"every_n_train_steps": 3}, 4),
            killed(2, {"every_n_train_steps": 3}, 4),
        ]
    return [
        killed(0, {"every_n_train_steps": 7}, 9),
        killed(2, {"every_n_train_steps": 7}, 9),
        killed(2, {"every_n_train_steps": 2}, 3),
        killed(0, {"every_n_train_steps": 5}, 6),
        killed(2, {"every_n_train_steps": 5}, 6),
        killed(0, {"every_n_epochs": 1}, 7),
        killed(2, {"every_n_epochs": 1}, 12),
        killed(2, {"every_n_train_steps": 4}, 5, limit_train_batches=3),
    ]


def refusals() -> list[str]:
    """What is wrong with a trainer, a loader, a checkpoint."""
    if "RANK" in os.environ:
        return [refused(Watched(), devices=2, strategy="ddp")]
    folder = Path(sys.argv[1]).parent / "without"
    saving = ModelCheckpoint(folder, "saved")
    trainer(max_epochs=1, enable_checkpointing=True, callbacks=[saving]).fit(Watched())
    beside = lightning_resume(RandomMiner())
    kept = Path(sys.argv[1]).parent / "0 {'every_n_epochs': 1} {}" / "saved.ckpt"
    return [
        refused(Watched(stateful=True)),
        refused(Shuffled()),
        refused(Watched(), saved=folder / "saved.ckpt"),
        refused(Trained(), saved=kept),
        refused(Trained(p=5), beside, saved=kept),
    ]


def refused(model: Any, callback: Any = None, saved: Path | None = None, **settings: Any) -> str:
    environment = dict(os.environ)
    ours = trainer(max_epochs=3, callbacks=[callback or lightning_resume()], **settings)
    try:
        ours.fit(model, ckpt_path=saved)
    except (ValueError, RuntimeError) as error:
        return str(error)
    finally:
        os.environ.update(environment)
    return "nothing was refused"


def two_processes(**settings: Any) -> Any:
    model = Watched()
    try:
        trainer(max_epochs=2, devices=2, strategy="ddp", **settings).fit(model)
    except TypeError as error:
        return str(error)
    return model.seen


if __name__ == "__main__":
    if "RANK" in os.environ:
        found: dict[str, Any] = {
            "killed": killed_in_many_ways(),
            "refused": refusals(),
            "theirs": two_processes(),
            "ours": two_processes(use_distributed_sampler=False),
        }
    else:
        found = {
            "whole": whole(),
            "killed": killed_in_many_ways(),
            "refused": refusals(),
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
    Path(sys.argv[1]).write_text(json.dumps(found))
