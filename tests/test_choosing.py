"""What the page that says which to use advises can be typed, and trains."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from metricface import classifiers, losses, miners, samplers
from metricface.classifiers import Classifier
from metricface.distances import Euclidean

PAGE = Path(__file__).parent.parent / "docs" / "choosing.md"
LABELS = torch.arange(512).repeat_interleave(4)


def advised() -> list[list[list[str]]]:
    """Of each line of the table the code of its batch, its miners and its losses."""
    rows = re.findall(r"^\| (?!you have|-).*\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return [[re.findall(r"`([^`]+)`", cell) for cell in row.split("|")[2:5]] for row in rows]


def test_the_table_is_read() -> None:
    assert len(advised()) == 7
    assert sum(len(mined) for _, mined, _ in advised()) == 6


@pytest.mark.parametrize("line", range(len(advised())))
def test_a_line_of_the_table_trains(line: int) -> None:
    names = {
        **{name: getattr(part, name) for part in (classifiers, losses, miners, samplers)
           for name in part.__all__},
        "Euclidean": Euclidean, "labels": LABELS, "classes": 512, "dim": 16,
    }  # fmt: skip
    batches, mined, asked = advised()[line]
    for code in batches:  # or words, for what another line has said
        rows = torch.tensor(next(iter(eval(code, names))))
        assert len(rows) == eval(code.replace("PKSampler(labels,", "(lambda p, k: p * k)("))
    labels = LABELS[torch.arange(64)]
    for code in asked:
        loss = eval(code, names)
        for chosen in [eval(each, names) for each in mined] or [None]:
            embeddings = torch.randn(64, 16, generator=torch.Generator().manual_seed(0))
            embeddings.requires_grad_()
            if chosen is None or isinstance(loss, Classifier):
                value = loss(embeddings, labels)
            else:
                value = loss(embeddings, labels, chosen(embeddings.detach(), labels))
            value.backward()
            assert embeddings.grad is not None
            assert float(embeddings.grad.abs().sum()) > 0
