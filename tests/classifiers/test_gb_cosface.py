"""The global boundary: what it is, when it moves, and that it carries no gradient."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, distributed
from torch.multiprocessing.spawn import spawn

from metricface.classifiers import GBCosFace
from tests.layouts import draw_rows
from tests.oracles.classifiers import global_boundary

C, D = 6, 5
LABELS = torch.arange(10) % C


def test_the_boundary_follows_the_rule_batch_after_batch() -> None:
    classifier = GBCosFace(C, D, gamma=0.1, boundary_range=(0.1, 0.3)).double()
    boundary = None
    for seed in range(5):
        x = draw_rows(10, D, seed)
        terms, boundary = global_boundary(
            x.numpy(),
            classifier.weight.detach().numpy(),
            LABELS.tolist(),
            boundary,
            gamma=0.1,
            bounds=(0.1, 0.3),
        )
        assert float(classifier(x, LABELS).detach()) == pytest.approx(sum(terms) / 10, rel=1e-9)
        assert float(classifier.boundary) == pytest.approx(boundary, rel=1e-9)


def test_the_boundary_rests_in_evaluation_and_is_used() -> None:
    classifier = GBCosFace(C, D, boundary_range=(-1, 1)).double()
    classifier(draw_rows(10, D, 0), LABELS)
    kept = classifier.boundary.clone()
    x = draw_rows(10, D, 1)
    weight = classifier.weight.detach().numpy()
    expected, _ = global_boundary(x.numpy(), weight, LABELS.tolist(), float(kept), bounds=(-1, 1))
    found = float(classifier.eval()(x, LABELS).detach())
    assert found == pytest.approx(sum(expected) / 10, rel=1e-9)
    assert classifier.boundary == kept


def test_an_empty_batch_leaves_the_boundary() -> None:
    classifier = GBCosFace(C, D)
    classifier(draw_rows(10, D, 0).float(), LABELS)
    kept = classifier.boundary.clamp(0.5, 0.7)
    classifier(torch.empty(0, D), LABELS[:0])
    torch.testing.assert_close(classifier.boundary, kept)


def reference_loss(x: Tensor, weight: Tensor, boundary: float) -> Tensor:
    """The published lines, in torch, with stop-gradients where they are printed."""
    cosine = F.normalize(x) @ F.normalize(weight).T
    own = cosine[torch.arange(len(x)), LABELS]
    others = cosine[F.one_hot(LABELS, C) == 0].view(len(x), C - 1)
    other = torch.logsumexp(32 * others, 1) / 32
    middle = ((own + other) / 2).detach()
    b = middle + 0.15 * (boundary - middle)
    first = torch.logaddexp(torch.zeros(()), 64 * (b - own + 0.16))
    return (first + torch.logaddexp(torch.zeros(()), 64 * (other - b + 0.16))).mean() / 2


def test_gradients_are_those_of_the_stopped_boundaries() -> None:
    classifier = GBCosFace(C, D).double()
    classifier.boundary.fill_(0.6)
    x = draw_rows(10, D, 3).requires_grad_()
    expected = reference_loss(x, classifier.weight, 0.6)
    wanted = (x, classifier.weight)
    found = torch.autograd.grad(classifier(x, LABELS), wanted)
    for ours, theirs in zip(found, torch.autograd.grad(expected, wanted), strict=True):
        torch.testing.assert_close(ours, theirs)


def _train_rank(rank: int, folder: str) -> None:
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2
    )
    torch.manual_seed(0)
    classifier = GBCosFace(C, D, boundary_range=(-1, 1)).double()
    rows = slice(0, 7) if rank == 0 else slice(7, 10)
    classifier(draw_rows(10, D, 0)[rows], LABELS[rows])
    torch.save(classifier.boundary, f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


def test_processes_with_uneven_batches_share_the_boundary_of_one(tmp_path: Path) -> None:
    spawn(_train_rank, args=(str(tmp_path),), nprocs=2)  # type: ignore[no-untyped-call]
    torch.manual_seed(0)
    alone = GBCosFace(C, D, boundary_range=(-1, 1)).double()
    alone(draw_rows(10, D, 0), LABELS)
    for rank in range(2):
        torch.testing.assert_close(torch.load(tmp_path / f"{rank}.pt"), alone.boundary)
