"""Every classifier against loops over angles, and its gradient against differences."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from metricface.classifiers import Classifier, arcface_target, combined_target, psi
from tests.cases import CLASSIFIERS
from tests.layouts import draw_rows
from tests.oracles import classifiers as oracle

#: What the margin makes of the target's cosine, of those that are written out as loops here.
TARGETS: dict[str, oracle.Target] = {
    "softmax": oracle.plain,
    "softmax, no bias": oracle.plain,
    "modified softmax": oracle.plain,
    "NormFace": oracle.plain,
    "NormFace, learned scale": oracle.plain,
    "COCO": oracle.plain,
    "COCO, batch centroids": oracle.plain,
    "L-Softmax": partial(oracle.psi, m=3),
    "A-Softmax": partial(oracle.psi, m=4),
    "A-Softmax, annealed": partial(oracle.annealed_psi, m=4, share=1000 / 1.12),
    "CosFace": lambda theta: math.cos(theta) - 0.35,
    "AM-Softmax": lambda theta: math.cos(theta) - 0.35,
    "ArcFace": partial(oracle.arcface, m=0.5),
    "ArcFace, easy": partial(oracle.arcface_easy, m=0.5),
    "combined, 1 0.3 0.2": partial(oracle.combined, m1=1.0, m2=0.3, m3=0.2),
    "combined, 1.35 0.4 0.15": partial(oracle.combined, m1=1.35, m2=0.4, m3=0.15),
    "combined, 0.9 0.4 0.15": partial(oracle.combined, m1=0.9, m2=0.4, m3=0.15),
}
SCALES = {
    "NormFace": 30.0,
    "NormFace, learned scale": 20.0,
    "AM-Softmax": 30.0,
    "CosFace": 64.0,
    "ArcFace": 64.0,
    "ArcFace, easy": 64.0,
    "combined, 1 0.3 0.2": 64.0,
    "combined, 1.35 0.4 0.15": 64.0,
    "combined, 0.9 0.4 0.15": 64.0,
}
FREE_WEIGHTS = ("softmax", "softmax, no bias", "L-Softmax")
#: Those whose loss of each row is more than a changed cosine of one centre.
OWN_TERMS: dict[str, Callable[..., list[float]]] = {
    "GB-CosFace": lambda x, weight, labels: oracle.global_boundary(x, weight, labels, None)[0],
    "Proxy-NCA++": partial(oracle.proxy_nca, temperature=1 / 9, own_proxy=True),
    "Proxy-NCA": partial(oracle.proxy_nca, temperature=1.0, own_proxy=False),
    "sub-center ArcFace": partial(oracle.sub_center_terms, target=partial(oracle.arcface, m=0.5)),
    "sub-center ArcFace, two, easy": partial(
        oracle.sub_center_terms, target=partial(oracle.arcface_easy, m=0.5)
    ),
    "AdaFace": lambda x, weight, labels: oracle.adaptive(x, weight, labels)[0],
    "AdaFace, quick": lambda x, weight, labels: oracle.adaptive(x, weight, labels, alpha=1.0)[0],
}
every_classifier = pytest.mark.parametrize("name", CLASSIFIERS)


def expected_terms(name: str, classifier: Classifier, x: Tensor, labels: list[int]) -> list[float]:
    rows, weight = x.numpy(), classifier.weight.detach().numpy()
    if name in OWN_TERMS:
        return OWN_TERMS[name](rows, weight, labels)
    scale = SCALES.get(name)
    if name.startswith("COCO"):
        others = classifier.num_classes - 1
        scale = others / classifier.num_classes * math.log(others * 99)
    if name == "COCO, batch centroids":
        weight, labels = oracle.batch_centroids(rows, labels)
    bias = None if name != "softmax" else classifier.bias.tolist()  # type: ignore[operator]
    unit = name not in FREE_WEIGHTS
    return oracle.terms(
        rows, weight, labels, TARGETS[name], scale=scale, unit_weight=unit, bias=bias
    )


@pytest.mark.parametrize("name", [*TARGETS, *OWN_TERMS])
@given(data=st.data())
@settings(deadline=None, max_examples=12)
def test_loss_agrees_with_loops_over_angles(name: str, data: st.DataObject) -> None:
    classes, dim = data.draw(st.integers(2, 7)), data.draw(st.integers(3, 6))
    labels = data.draw(st.lists(st.integers(0, classes - 1), min_size=1, max_size=6))
    x = draw_rows(len(labels), dim, data.draw(st.integers(0, 999)))
    x *= data.draw(st.sampled_from([0.1, 1.0, 10.0]))
    classifier = CLASSIFIERS[name](classes, dim, reduction="none").double()
    if name == "softmax":
        torch.nn.init.normal_(classifier.bias)  # type: ignore[arg-type]
    expected = expected_terms(name, classifier, x, labels)
    found = classifier(x, torch.tensor(labels)).detach()
    assert found.tolist() == pytest.approx(expected, rel=1e-9, abs=1e-12)


#: The boundary of the one, the length in the others carry no gradient, which differences cannot
#: know; see their own tests.
STOPPED = ("GB-CosFace", "AdaFace", "AdaFace, quick")


@pytest.mark.parametrize("name", [name for name in CLASSIFIERS if name not in STOPPED])
def test_gradcheck_in_double(name: str) -> None:
    classifier = CLASSIFIERS[name](5, 4, reduction="none").double().eval()
    x, labels = draw_rows(6, 4, 3).requires_grad_(), torch.tensor([0, 1, 2, 3, 4, 4])
    parameters = [p for p in classifier.parameters() if p.requires_grad]

    def loss(*_: Tensor) -> Tensor:
        value: Tensor = classifier(x, labels)
        return value

    assert torch.autograd.gradcheck(loss, (x, *parameters))


@every_classifier
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_reductions_are_those_of_the_terms(name: str, reduction: str) -> None:
    x, labels = draw_rows(4, 6, 0), torch.tensor([0, 2, 2, 1])
    one = CLASSIFIERS[name](3, 6, reduction="none").double()
    all_ = CLASSIFIERS[name](3, 6, reduction=reduction).double()
    all_.load_state_dict(one.state_dict())
    terms = one(x, labels)
    expected = terms.mean() if reduction == "mean" else terms.sum()
    torch.testing.assert_close(all_(x, labels), expected)


@every_classifier
def test_logits_without_a_margin_are_those_of_the_loss(name: str) -> None:
    """``target`` and all others by the loss's own step, against the public logits."""
    classifier = CLASSIFIERS[name](5, 4).double()
    x, labels = draw_rows(5, 4, 1), torch.arange(5)
    classifier(x, labels)  # batch centroids become the weights
    logits = classifier.logits(x).detach()
    scale = getattr(classifier, "scale", None)
    for i, row in enumerate(x.tolist()):
        for j, centres in enumerate(classifier.weight.reshape(5, -1, 4).tolist()):
            centre = max(centres, key=partial(oracle.cosine, row))
            size = oracle.length(row) if scale is None else float(torch.as_tensor(scale).detach())
            size *= oracle.length(centre) if name in FREE_WEIGHTS else 1.0
            assert float(logits[i, j]) == pytest.approx(size * oracle.cosine(row, centre))


PIECES: list[tuple[Callable[[Tensor], Tensor], oracle.Target]] = [
    *((partial(psi, m=m), partial(oracle.psi, m=m)) for m in (1, 2, 3, 4, 7)),
    (partial(arcface_target, margin=0.5), partial(oracle.arcface, m=0.5)),
    (partial(arcface_target, margin=1.4), partial(oracle.arcface, m=1.4)),
    (partial(arcface_target, margin=0.5, easy=True), partial(oracle.arcface_easy, m=0.5)),
    *(
        (
            partial(combined_target, m1=m1, m2=m2, m3=m3),
            partial(oracle.combined, m1=m1, m2=m2, m3=m3),
        )
        for m1, m2, m3 in ((1, 0.3, 0.2), (0.9, 0.4, 0.15), (0.5, 0, 0), (4.0, 1.0, 0.1))
    ),
]


def angles(steps: int) -> Tensor:
    """Between 0 and π, off the points where pieces meet, where rounding may fall either way."""
    return torch.linspace(1e-3, math.pi - 1.1e-3, steps, dtype=torch.float64)


@pytest.mark.parametrize(("ours", "theirs"), PIECES)
def test_target_logits_are_the_printed_pieces(
    ours: Callable[[Tensor], Tensor], theirs: oracle.Target
) -> None:
    theta = angles(997)
    expected: Sequence[float] = [theirs(t) for t in theta.tolist()]
    assert ours(torch.cos(theta)).tolist() == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("m", [1, 2, 3, 4, 6])
def test_psi_is_continuous_and_falls_strictly_from_1_to_1_minus_2m(m: int) -> None:
    theta = torch.linspace(0, math.pi, 4001, dtype=torch.float64)
    value = psi(torch.cos(theta), m)
    steps = value.diff()
    assert (steps < 0).all()
    assert steps.abs().max() <= 1.01 * m * math.pi / 4000  # no slope is steeper than m
    assert float(value[0]) == pytest.approx(1)
    assert float(value[-1]) == pytest.approx(1 - 2 * m)


@pytest.mark.parametrize("name", [name for name in CLASSIFIERS if "easy" not in name])
def test_target_logits_fall(name: str) -> None:
    """An easy margin alone rises, where it ends."""
    theta = torch.linspace(0, math.pi, 2001, dtype=torch.float64)
    assert (CLASSIFIERS[name](5, 4).target_logit(theta).diff() < 0).all()


def test_arcface_jumps_where_the_official_code_does() -> None:
    just = torch.tensor([math.pi - 0.5 - 1e-9, math.pi - 0.5 + 1e-9], dtype=torch.float64)
    before, after = arcface_target(torch.cos(just), 0.5).tolist()
    assert before == pytest.approx(-1)
    assert after == pytest.approx(-1.1173, abs=1e-4)
