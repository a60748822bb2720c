"""Methods differ in what they mine and ask, in nothing else."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from benchmarks.convergence.batches import Batches
from benchmarks.convergence.folds import Fold, make_folds
from benchmarks.convergence.methods import METHODS, choose
from benchmarks.convergence.settings import Settings
from benchmarks.convergence.training import Training
from metricface.data import ImageSet


def test_every_method_starts_from_the_same_weights_and_sees_the_same_batches(
    fold: Fold, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[Tensor, Tensor]] = []
    draw = Batches.draw

    def remembered(self: Batches) -> tuple[Tensor, Tensor]:
        drawn.append(draw(self))
        return drawn[-1]

    monkeypatch.setattr(Batches, "draw", remembered)
    seen = {}
    for name, method in METHODS.items():
        training = Training(method, fold, settings, seed=1)
        first = training.embed(fold.held_images)
        drawn.clear()
        for _ in range(4):
            training.advance()
        assert not torch.equal(training.embed(fold.held_images), first), name
        seen[name] = (first, list(drawn))
    first, batches = seen.pop("random")
    for name, (embeddings, others) in seen.items():
        assert torch.equal(embeddings, first), name
        for (images, labels), (same_images, same_labels) in zip(batches, others, strict=True):
            assert torch.equal(images, same_images), name
            assert torch.equal(labels, same_labels), name


def test_another_seed_is_another_start_and_other_batches(fold: Fold, settings: Settings) -> None:
    one, two = (Training(METHODS["random"], fold, settings, seed=seed) for seed in (0, 1))
    assert not torch.equal(one.embed(fold.held_images), two.embed(fold.held_images))
    assert not torch.equal(one.batches.draw()[0], two.batches.draw()[0])


def test_the_gradient_is_that_of_one_backward_pass(fold: Fold, settings: Settings) -> None:
    training = Training(METHODS["batch-hard"], fold, settings, seed=0)
    reference = Training(METHODS["batch-hard"], fold, settings, seed=0)
    training.advance()
    images, labels = reference.batches.draw()
    embeddings = reference.network(images)
    assert reference.miner is not None
    reference.loss(embeddings, labels, reference.miner(embeddings.detach(), labels)).backward()  # type: ignore[no-untyped-call]
    pairs = zip(training.network.parameters(), reference.network.parameters(), strict=True)
    for split, whole in pairs:
        assert split.grad is not None
        assert whole.grad is not None
        assert torch.equal(split.grad, whole.grad)


@pytest.mark.parametrize("folds", [1, 4])
@pytest.mark.parametrize("held", ["test", "validation"])
def test_no_identity_stands_on_two_sides(images: ImageSet, folds: int, held: str) -> None:
    chosen = Settings("glyphs", held="test" if held == "test" else "validation", folds=folds)
    tested = make_folds(images, Settings("glyphs", folds=folds))
    met: list[int] = []
    for fold, test in zip(make_folds(images, chosen), tested, strict=True):
        train, out = set(fold.train_labels.tolist()), set(fold.held_labels.tolist())
        assert train
        assert out
        assert not train & out
        assert not train & set(test.held_labels.tolist())
        met += out
    if folds > 1:
        assert sorted(met) == list(range(60))


def test_an_unknown_method_is_named() -> None:
    with pytest.raises(ValueError, match="semi-soft"):
        choose(["random", "semi-soft"])


def test_a_method_named_twice_runs_once() -> None:
    assert [method.name for method in choose(["random", "random"])] == ["random"]
