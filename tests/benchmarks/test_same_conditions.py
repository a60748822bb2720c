"""Methods differ in what they mine and ask, in nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.convergence.folds import Fold, make_folds
from benchmarks.convergence.methods import METHODS, Setup, choose
from benchmarks.convergence.settings import DEFAULTS, Settings
from metricface.classifiers import min_scale
from metricface.data import ImageSet
from metricface.recipes import embed
from metricface.recipes.batches import Batch, Batches

#: Methods whose point is another order of the batches.
OWN_BATCHES = {
    f"{rule}-{batches}"
    for rule in ("batch-hard", "distance-weighted-margin")
    for batches in ("look-alikes", "offline")
}


def test_every_method_starts_from_the_same_weights_and_sees_the_same_batches(
    fold: Fold, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Batch] = []
    draw = Batches.draw

    def remembered(self: Batches) -> Batch:
        drawn.append(draw(self))
        return drawn[-1]

    monkeypatch.setattr(Batches, "draw", remembered)
    expected: list[Batch] = []
    untrained = embed(Setup(settings, fold, 1, tmp_path).model(), fold.held)
    first_row: dict[str, float] = {}
    for name, method in METHODS.items():
        drawn.clear()
        setup = Setup(settings, fold, 1, tmp_path / name, progress=False)
        trained = method.train(setup, method.default)
        assert not torch.equal(embed(trained.model, fold.held), untrained), name
        assert trained.rows[-1]["step"] == settings.steps, name
        first_row = first_row or trained.rows[0]
        assert trained.rows[0]["map_at_r"] == first_row["map_at_r"], name
        expected = expected or list(drawn)
        if name in OWN_BATCHES:
            continue
        # A second stage goes on with the sampler, and begins the augmentation anew.
        compared = 3 if "then" in name else 6
        for mine, theirs in zip(drawn[:compared], expected[:compared], strict=True):
            for one, other in zip(mine, theirs, strict=True):
                assert torch.equal(one, other), name


def test_no_scale_is_tried_that_cannot_part_the_classes() -> None:
    """A classifier refuses such a scale, which would end a run in its midst."""
    classes = max(each.identities or 0 for each in DEFAULTS.values())
    least = min_scale(classes, 0.5)
    assert classes == 5000
    for name in ("normface", "cosface", "arcface", "gb-cosface", "pml-cosface", "pml-arcface"):
        assert min(METHODS[name].space["scale"]) >= least, name


def test_another_seed_is_another_start_and_other_batches(
    fold: Fold, settings: Settings, tmp_path: Path
) -> None:
    one, two = (Setup(settings, fold, seed, tmp_path) for seed in (0, 1))
    assert not torch.equal(embed(one.model(), fold.held), embed(two.model(), fold.held))
    assert next(iter(one.sampler())) != next(iter(two.sampler()))


def test_settings_are_tried_in_one_order_and_the_default_first() -> None:
    for method in METHODS.values():
        tried = method.candidates(4)
        assert tried[0] == method.default
        assert len({tuple(values.items()) for values in tried}) == 4
        assert method.candidates(2) == tried[:2]
    assert METHODS["softmax"].candidates(5) == METHODS["softmax"].candidates(4)
    with pytest.raises(ValueError, match="softmax must be tried in a setting or more, got 0"):
        METHODS["softmax"].candidates(0)


def test_the_same_rule_is_tried_in_the_same_settings_whosever_it_is() -> None:
    for mine, theirs in (
        ("semi-hard", "pml-semi-hard"),
        ("contrastive-linear", "pml-contrastive"),
        ("proxy-anchor", "pml-proxy-anchor"),
    ):
        assert METHODS[mine].candidates(9) == METHODS[theirs].candidates(9)


def test_few_settings_already_meet_every_value() -> None:
    tried = METHODS["semi-hard"].candidates(6)
    assert {values["margin"] for values in tried} == {0.1, 0.2, 0.5, 1.0}
    assert {values["lr"] for values in tried} == {5e-4, 1e-3, 2e-3, 5e-3}


@pytest.mark.parametrize("folds", [1, 4])
@pytest.mark.parametrize("held", ["test", "validation"])
def test_no_identity_stands_on_two_sides(images: ImageSet, folds: int, held: str) -> None:
    chosen = Settings("glyphs", held="test" if held == "test" else "validation", folds=folds)
    tested = make_folds(images, Settings("glyphs", folds=folds))
    met: list[int] = []
    for fold, test in zip(make_folds(images, chosen), tested, strict=True):
        train, out = set(fold.train.labels.tolist()), set(fold.held.labels.tolist())
        assert train
        assert out
        assert not train & out
        assert not train & set(test.held.labels.tolist())
        met += out
    if folds > 1:
        assert sorted(met) == list(range(60))


def test_fewer_training_identities_are_a_part_of_more(images: ImageSet) -> None:
    def trained_on(count: int | None) -> set[int]:
        (fold,) = make_folds(images, Settings("glyphs", identities=count))
        return set(fold.train.labels.tolist())

    assert [len(trained_on(count)) for count in (5, 20, None)] == [5, 20, 39]
    assert trained_on(5) < trained_on(20) < trained_on(None)
    with pytest.raises(ValueError, match="there are 39 identities to train on, not 40"):
        trained_on(40)


@pytest.mark.parametrize("change", [{"quality": 10}, {"pixels": 16}])
def test_only_held_out_images_are_degraded(images: ImageSet, change: dict[str, int]) -> None:
    (fold,) = make_folds(images, Settings("glyphs", jitter_held=False))
    (worse,) = make_folds(images, Settings("glyphs", jitter_held=False, **change))  # type: ignore[arg-type]
    assert np.array_equal(fold.train.images, worse.train.images)
    assert worse.held.images.shape == fold.held.images.shape
    difference: Tensor = (worse.held.images - fold.held.images).abs().mean()
    assert 0.005 < float(difference) < 0.3


def test_an_unknown_method_is_named() -> None:
    with pytest.raises(ValueError, match="semi-soft"):
        choose(["random", "semi-soft"])


def test_a_method_named_twice_runs_once() -> None:
    assert [method.name for method in choose(["random", "rando?", "random"])] == ["random"]
