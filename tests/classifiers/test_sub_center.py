"""Several centres for a class: which counts, who falls where, and what cleaning leaves."""

from __future__ import annotations

import math

import pytest
import torch

from metricface.classifiers import ArcFace, SubCenterArcFace
from tests.layouts import draw_rows
from tests.oracles import classifiers as oracle

C, K, D = 4, 3, 5


def test_of_equal_sub_centers_one_counts() -> None:
    """Also where a zero embedding is equally near to all."""
    weight = draw_rows(C, D, 1)
    several, one = SubCenterArcFace(C, D).double(), ArcFace(C, D).double()
    several.load_state_dict({"weight": weight[:, None].expand(C, K, D)})
    one.load_state_dict({"weight": weight})
    x, labels = torch.cat([draw_rows(3, D, 0), torch.zeros(1, D)]), [0, 1, 2, 3]
    torch.testing.assert_close(several(x, labels), one(x, labels))


def crowded() -> tuple[SubCenterArcFace, torch.Tensor, list[int]]:
    """Class 0 mostly at its second sub-centre, class 1 at its first, class 2 without samples."""
    axes = torch.eye(6)
    classifier = SubCenterArcFace(3, 6, sub_centers=2, scale=20.0, margin=0.3)
    classifier.load_state_dict({"weight": axes.view(3, 2, 6) * 3})
    rows = [axes[0], axes[1], axes[1] + 0.1 * axes[4], axes[1] + 9 * axes[5], axes[2], axes[3]]
    return classifier, torch.stack([*rows, axes[2] + axes[3] * 0.5]) * 2, [0, 0, 0, 0, 1, 1, 1]


def test_a_sample_falls_to_the_sub_center_it_is_nearest_to() -> None:
    classifier, x, labels = crowded()
    cosines = classifier.own_cosines(x, labels)
    assert cosines.argmax(1).tolist() == [0, 1, 1, 1, 0, 1, 0]
    for row, found, label in zip(x.tolist(), cosines.tolist(), labels, strict=True):
        centres = classifier.weight[label].tolist()
        assert found == pytest.approx([oracle.cosine(row, centre) for centre in centres], abs=1e-6)
    assert classifier.own_cosines(x[:0], []).shape == (0, 2)


def test_cleaning_keeps_dominant_sub_centers_and_the_samples_near_them() -> None:
    classifier, x, labels = crowded()
    head, keep = classifier.cleaned(x, labels)
    expected = torch.stack(
        [classifier.weight[0, 1], classifier.weight[1, 0], classifier.weight[2, 0]]
    )
    torch.testing.assert_close(head.weight.detach(), expected.detach())
    assert keep.tolist() == [False, True, True, False, True, False, True]
    assert (head.scale, head.margin, head.num_classes) == (20.0, 0.3, 3)
    assert head.weight.requires_grad
    assert classifier.cleaned(x, labels, max_angle=math.pi).keep.all()
    with pytest.raises(ValueError, match="between 0 and π radians, got 75"):
        classifier.cleaned(x, labels, max_angle=75)


def test_wrong_labels_gather_at_a_sub_center_of_their_own() -> None:
    """A fifth of each class belongs to another; after training, cleaning finds them.

    Both sub-centres begin between the two kinds of samples, each a little nearer to one.
    """
    true = torch.arange(200) % 4
    x = torch.eye(8)[true] + 0.1 * draw_rows(200, 8, 0).float()
    labels = torch.where(torch.arange(200) < 40, (true + 1) % 4, true)
    classifier = SubCenterArcFace(4, 8, sub_centers=2, scale=10.0, margin=0.2)
    own, wrong = torch.eye(8)[:4], torch.eye(8)[:4].roll(1, 0)
    begun = torch.stack([0.55 * own + 0.45 * wrong, 0.45 * own + 0.55 * wrong], 1)
    classifier.load_state_dict({"weight": begun})
    assert not torch.equal(classifier.cleaned(x, labels).keep, labels == true)
    optimizer = torch.optim.Adam(classifier.parameters(), lr=0.05)
    for _ in range(100):
        optimizer.zero_grad()
        classifier(x, labels).backward()
        optimizer.step()
    assert torch.equal(classifier.cleaned(x, labels).keep, labels == true)
