"""Every row and every block of the page for those who come from another library is true."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_metric_learning import losses as pml_losses
from pytorch_metric_learning import miners as pml_miners
from torch import Tensor

from metricface import classifiers, distances, losses, miners
from metricface.evaluation import retrieval
from metricface.memory import CrossBatchMemory
from metricface.samplers import PKSampler
from tests.oracles import elsewhere

# Theirs multiplies a numpy number with a tensor.
pytestmark = pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")

PAGE = Path(__file__).parents[1] / "docs" / "coming-from.md"
TEXT = PAGE.read_text(encoding="utf-8")

OURS = {
    name: value
    for part in (losses, miners, classifiers, distances)
    for name, value in vars(part).items()
}
ELSEWHERE = {
    "TripletLossWithMiner": elsewhere.triplet_loss_with_miner,
    "HardTripletsMiner": elsewhere.HardTripletsMiner,
    "ArcFaceLoss": elsewhere.arc_face_loss,
    "CombinedMarginLoss": elsewhere.combined_margin_loss,
    "ArcFace": elsewhere.arc_face,
    "SphereFace": elsewhere.sphere_face,
    "BatchHardTripletLoss": elsewhere.batch_hard_triplet_loss,
}


def section(title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def rows(title: str) -> list[list[str]]:
    """The rows of a section's tables that begin with the code of a class."""
    lines = [
        line.strip("|").split(" | ") for line in section(title).splitlines() if line[:1] == "|"
    ]
    return [[cell.strip(" |") for cell in row] for row in lines if re.match(r" ?`\w+\(", row[0])]


def made(cell: str, names: dict[str, Any]) -> Any:
    return eval(cell.strip("`"), {**names, "math": math})


def batch() -> tuple[Tensor, Tensor]:
    names: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)[0], names)
    return names["x"], names["labels"]


def with_weights(head: Any) -> Any:
    """A head in double precision, with the same class weights on every machine."""
    head = head.double()
    if hasattr(head, "weight"):
        numbers = torch.arange(head.weight.numel(), dtype=torch.float64)
        head.weight.data.copy_(torch.sin(numbers**2 + 1).view(head.weight.shape))
    return head


X, LABELS = batch()
PLAIN = distances.Euclidean(normalize=False)
OURS |= {"plain": PLAIN, "hardest": miners.BatchHardMiner(distance=PLAIN)}
PML = rows("From pytorch-metric-learning")
LOSSES = [row for row in PML if re.match(r"\d", row[2])]
MINERS = [row for row in PML if "Miner(" in row[0]]
HEADS = [row for row in PML if row not in MINERS and row not in LOSSES]
OTHERS = [
    row
    for title in (
        "From open-metric-learning",
        "From insightface and OpenSphere",
        "From sentence-transformers",
    )
    for row in rows(title)
]


def test_the_blocks_run() -> None:
    blocks, names = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL), dict[str, Any]()
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    assert len(blocks) == 7
    assert names["plain"] == PLAIN
    assert names["hardest"].distance == PLAIN
    assert [len(LOSSES), len(HEADS), len(MINERS), len(OTHERS)] == [10, 8, 3, 10]


@pytest.mark.parametrize("row", LOSSES, ids=lambda row: row[0])
def test_a_loss_is_theirs_and_the_defaults_are_as_told(row: list[str]) -> None:
    theirs, ours = made(row[0], vars(pml_losses)), made(row[1], OURS)
    indices = None
    if row[0] == "`MarginLoss()`":
        indices = miners.BatchAllMiner(9.0)(X, LABELS)
    their = theirs(X, LABELS, indices)
    torch.testing.assert_close(ours(X, LABELS, indices), their, rtol=1e-6, atol=1e-9)
    told = [float(number) for number in row[2].split(", ")]
    by_default = getattr(losses, row[1].strip("`").split("(")[0])()
    value = by_default(X, LABELS, indices).item()
    assert told[0] == pytest.approx(float(their), abs=6e-4)
    if len(told) == 2:
        assert told[1] == pytest.approx(value, abs=6e-4)
    elif "soft" in row[1]:
        assert losses.TripletLoss("soft")(X, LABELS).item() == pytest.approx(0.304, abs=6e-4)
    else:
        assert value == pytest.approx(told[0], abs=6e-4)


@pytest.mark.parametrize("row", HEADS, ids=lambda row: row[0])
def test_a_head_is_theirs(row: list[str]) -> None:
    theirs, ours = made(row[0], vars(pml_losses)).double(), with_weights(made(row[1], OURS))
    weight = ours.weight.detach().flatten(0, -2)
    kept = theirs.proxies if hasattr(theirs, "proxies") else theirs.W
    kept.data.copy_(weight if hasattr(theirs, "proxies") else weight.T)
    torch.testing.assert_close(ours(X, LABELS), theirs(X, LABELS))


@pytest.mark.parametrize("row", MINERS, ids=lambda row: row[0])
def test_a_miner_finds_what_theirs_finds(row: list[str]) -> None:
    def found(make: dict[str, Any], cell: str) -> list[set[tuple[int, ...]]]:
        anchor, *others = (each.tolist() for each in made(cell, make)(X, LABELS))
        if len(others) == 2:
            return [set(zip(anchor, *others, strict=True))]
        pairs = ((anchor, others[0]), (others[1], others[2]))
        return [set(zip(*pair, strict=True)) for pair in pairs]

    ours = found(OURS, row[1])
    assert ours == found(vars(pml_miners), row[0])
    assert all(ours)


def test_semi_hard_is_as_told() -> None:
    theirs = pml_miners.TripletMarginMiner(type_of_triplets="semihard")(X, LABELS)
    ours = miners.SemiHardMiner(distance=distances.Euclidean())(X, LABELS)
    assert [len(theirs[0]), len(ours[0])] == [255, 47]
    assert "gives 255 triplets here, ours\n47" in TEXT


@pytest.mark.parametrize("row", OTHERS, ids=lambda row: row[0])
def test_the_formula_of_another_library_is_ours(row: list[str]) -> None:
    theirs, ours = made(row[0], ELSEWHERE), with_weights(made(row[1], OURS))
    weights = (ours.weight.detach(),) if hasattr(ours, "weight") else ()
    if row[0] == "`SphereFace(16, 8)`":  # the weights are such that no angle is above 120°
        ours.weight.data.copy_(X[::4] + 0.5 * X[1::4])
        weights = (ours.weight.detach(),)
    torch.testing.assert_close(ours(X, LABELS), theirs(X, LABELS, *weights))


def gradient(loss: Callable[..., Tensor], *weights: Tensor) -> Tensor:
    x = X.clone().requires_grad_()
    return torch.autograd.grad(loss(x, LABELS, *weights), x)[0]


def test_the_margins_gradient_is_as_told() -> None:
    """insightface's ArcFace has not the paper's; open-metric-learning's and ours have."""
    ours = with_weights(classifiers.ArcFace(8, 16))
    weight = ours.weight.detach()
    torch.testing.assert_close(gradient(ours), gradient(elsewhere.arc_face_loss(16, 8), weight))
    sphere = with_weights(classifiers.CombinedMargin(8, 16, 1.5, 0, 0, scale=30))
    for paper, theirs in (
        (ours, elsewhere.combined_margin_loss(64, 1, 0.5, 0)),
        (ours, elsewhere.arc_face(16, 8)),
        (sphere, elsewhere.sphere_face(16, 8)),
    ):
        whole = gradient(paper)
        assert (gradient(theirs, weight) - whole).norm() > 0.1 * whole.norm()
    table = re.findall(r"^\| m = (0\.\d) \| (.*) \|$", TEXT, re.MULTILINE)
    assert [margin for margin, _ in table] == ["0.3", "0.5"]
    for margin, told in table:
        for degrees, share in zip((4.7, 30, 60, 90), told.split(" | "), strict=True):
            theta = math.radians(degrees)
            expected = math.sin(theta) / math.sin(theta + float(margin))
            assert float(share) == pytest.approx(expected, abs=0.0051)


@pytest.mark.parametrize(
    "call",
    [
        lambda labels: losses.TripletLoss()(X, labels),
        lambda labels: losses.SupConLoss()(X, labels),
        lambda labels: miners.SemiHardMiner()(X, labels),
        lambda labels: classifiers.ArcFace(8, 16)(X.float(), labels),
        lambda labels: losses.CenterLoss(8, 16)(X.float(), labels),
        lambda labels: PKSampler(labels, 2, 2),
        lambda labels: retrieval(X, labels),
        lambda labels: CrossBatchMemory(40, 16).push(X.float(), labels),
    ],
)
def test_a_column_of_labels_is_told_to_squeeze(call: Callable[[Tensor], Any]) -> None:
    with pytest.raises((TypeError, ValueError), match=r"labels\.squeeze\(1\)"):
        call(LABELS[:, None])
