"""The dense step by itself: against torch's own, its memory, and its gradient taken twice."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from metricface.classifiers import ArcFace, Classifier, SubCenterArcFace, target_and_rest
from tests.layouts import draw_rows
from tests.oracles import classifiers as oracle

LABELS = torch.tensor([0, 4, 4, 2])


@pytest.mark.parametrize("unit_weight", [False, True])
@pytest.mark.parametrize("shift", [0.0, 1e4, -1e4])
def test_it_is_torchs_log_sum_exp_of_the_others(unit_weight: bool, shift: float) -> None:
    x, weight = draw_rows(4, 3, 0), draw_rows(5, 3, 1)
    x[:, 0] += shift
    logits = x @ (F.normalize(weight) if unit_weight else weight).T
    target, rest = target_and_rest(x, weight, LABELS, unit_weight=unit_weight)
    hidden = logits.scatter(1, LABELS[:, None], -torch.inf)
    torch.testing.assert_close(target, logits[torch.arange(4), LABELS])
    torch.testing.assert_close(rest, torch.logsumexp(hidden, 1))


@pytest.mark.parametrize("unit_weight", [False, True])
def test_gradients_of_both_results_alone_and_together(unit_weight: bool) -> None:
    x, weight = draw_rows(4, 3, 0).requires_grad_(), draw_rows(5, 3, 1).requires_grad_()

    def both(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        return target_and_rest(x, weight, LABELS, unit_weight=unit_weight)

    assert torch.autograd.gradcheck(both, (x, weight))
    frozen = weight.detach()
    assert torch.autograd.gradcheck(lambda x: both(x, frozen), (x,))
    fixed = x.detach()
    assert torch.autograd.gradcheck(lambda w: both(fixed, w)[1], (weight,))


def test_many_classes_are_cleared_of_radial_gradient_in_parts() -> None:
    weight = draw_rows(9001, 3, 1).requires_grad_()
    labels = torch.tensor([0, 5000, 9000, 4096])
    target, rest = target_and_rest(draw_rows(4, 3, 0), weight, labels)
    (gradient,) = torch.autograd.grad((rest - target).sum(), weight)
    x = draw_rows(4, 3, 0)
    reference = F.cross_entropy(x @ F.normalize(weight).T, labels, reduction="none")
    target, rest = target_and_rest(x, weight, labels)
    torch.testing.assert_close(F.softplus(rest - target), reference)
    assert (gradient * weight).sum(1).abs().max() < 1e-12


def test_a_second_backward_pass_gives_the_same() -> None:
    x, weight = draw_rows(4, 3, 0).requires_grad_(), draw_rows(5, 3, 1).requires_grad_()
    target, rest = target_and_rest(x, weight, LABELS)
    loss = (rest - target).sum()
    once = torch.autograd.grad(loss, (x, weight), retain_graph=True)
    twice = torch.autograd.grad(loss, (x, weight))
    for first, second in zip(once, twice, strict=True):
        assert torch.equal(first, second)


def test_of_several_weights_of_a_class_the_nearest_counts() -> None:
    x, weight = draw_rows(6, 5, 0), draw_rows(12, 5, 1).view(4, 3, 5)
    labels = torch.tensor([0, 3, 3, 1, 2, 0])
    target, rest = target_and_rest(x, weight, labels)
    for i, row in enumerate(x.tolist()):
        centres = oracle.nearest_centres(row, weight.numpy())
        logits = [oracle.length(row) * oracle.cosine(row, centre) for centre in centres.tolist()]
        own = logits.pop(int(labels[i]))
        assert float(target[i]) == pytest.approx(own, rel=1e-12)
        assert float(rest[i]) == pytest.approx(oracle.log_sum_exp(logits), rel=1e-12)


def test_gradients_reach_the_nearest_of_several_weights_only() -> None:
    x, weight = draw_rows(6, 5, 0).requires_grad_(), draw_rows(12, 5, 1).view(4, 3, 5)
    weight.requires_grad_()
    labels = torch.tensor([0, 3, 3, 1, 2, 0])
    assert torch.autograd.gradcheck(lambda x, w: target_and_rest(x, w, labels), (x, weight))
    one = x[:1].detach()
    target, rest = target_and_rest(one, weight, labels[:1])
    (gradient,) = torch.autograd.grad(target + rest, weight)
    unit = weight.detach() / weight.detach().norm(dim=2, keepdim=True)
    nearest = (unit @ one[0]).argmax(1)
    touched = gradient.abs().sum(2) > 0
    assert touched.sum(1).tolist() == [1] * 4
    assert touched.int().argmax(1).tolist() == nearest.tolist()


class NewStorages(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the storages of one size that operations make."""

    def __init__(self, numel: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.numel = numel
        self.made: list[Tensor] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and result.numel() == self.numel:
            known = {tensor.data_ptr() for tensor in self.made}
            if result.data_ptr() not in known:
                self.made.append(result)  # and kept, so that its place is not used again
        return result


@pytest.mark.parametrize(
    ("classifier", "weights"), [(ArcFace(1009, 16), 1009), (SubCenterArcFace(1009, 16), 3 * 1009)]
)
def test_only_one_array_of_batch_times_weights_is_made(
    classifier: Classifier, weights: int
) -> None:
    x = draw_rows(8, 16, 0).float().requires_grad_()
    with NewStorages(8 * weights) as storages:
        classifier(x, torch.arange(8)).backward()
    assert len(storages.made) == 1
