"""The code on the page about training runs, in the order it stands, with fewer steps."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from metricface.losses import TripletLoss
from tests.recipes.toys import TRAIN, KilledError, Noise, differences, quick, train

PAGE = Path(__file__).parents[2] / "docs" / "recipes.md"


@cache
def blocks() -> list[str]:
    found = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return [re.sub(r"steps=\(?[\d, ]+\)?,", fewer, block) for block in found]


def fewer(steps: re.Match[str]) -> str:
    return "steps=(2, 2)," if "(" in steps[0] else "steps=2,"


@pytest.mark.filterwarnings("ignore:FAR 0.001 needs:UserWarning")
def test_the_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in blocks():
        exec(compile(block, str(PAGE), "exec"), names)
    assert len(blocks()) == 9
    assert sum("steps=2," in block or "steps=(2, 2)," in block for block in blocks()) == 8
    files = Path("runs").rglob("checkpoint.pt")
    folders = sorted(str(file.parent.relative_to("runs")) for file in files)
    assert folders == ["semi-hard", "shuffled", "vgg-face/softmax", "vgg-face/triplet"]
    assert set(names["done"].history[-1]) >= {"recall_at_1", "tar_at_0.01", "seconds", "loss"}


@pytest.mark.parametrize("workers", [0, 2])
def test_the_sampler_on_the_page_resumes_exactly(workers: int, tmp_path: Path) -> None:
    names: dict[str, Any] = {}
    (block,) = [block for block in blocks() if "class Shuffled" in block]
    exec("import torch\n" + block.split("\n\nfit(")[0], names)

    def run(folder: Path, noise: Noise) -> nn.Module:
        return train(
            TripletLoss(5.0),
            8,
            sampler=names["Shuffled"](len(TRAIN), 16),  # three batches in an epoch
            folder=folder,
            options=quick(augment=noise, workers=workers),
        ).model

    whole, noise = run(tmp_path / "whole", Noise()), Noise()
    for noise.countdown in (3, 4, 1):
        with pytest.raises(KilledError):
            run(tmp_path / "killed", noise)
    noise.countdown = float("inf")
    resumed = run(tmp_path / "killed", noise)
    assert differences(resumed.state_dict(), whole.state_dict()) == []
