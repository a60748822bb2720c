"""Clusters and their scores, against plain loops."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import pair_confusion_matrix

from metricface.distances import Cosine, Euclidean
from metricface.evaluation import cluster_scores, clustering, verification
from tests.evaluation.samples import EXACT, LabelledSet, labelled_sets
from tests.oracles import evaluation as oracle


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from("abc")), min_size=1, max_size=12))
def test_scores_are_those_of_plain_loops(both: list[tuple[int, str]]) -> None:
    assignment, labels = [a for a, _ in both], [b for _, b in both]
    found = cluster_scores(assignment, labels)
    precision, recall = oracle.b_cubed(assignment, labels)
    assert (found.b_cubed.precision, found.b_cubed.recall) == pytest.approx((precision, recall))
    precision, recall = oracle.pair_agreement(assignment, labels)
    assert (found.pairwise.precision, found.pairwise.recall) == pytest.approx((precision, recall))
    (_, false), (missed, true) = pair_confusion_matrix(labels, assignment)
    if true:
        assert found.pairwise.f == pytest.approx(2 * true / (2 * true + false + missed))
    assert found.clusters == len(set(assignment))


@settings(deadline=None, max_examples=40)
@given(labelled_sets(), st.sampled_from([0.0, 1.0, 2.0, 5.0]))
def test_dbscan_of_two_is_the_components_of_the_threshold_graph(
    sample: LabelledSet, threshold: float
) -> None:
    x, labels = sample
    found = clustering(x, labels, threshold=threshold, distance=EXACT)
    reached = list(range(len(x)))
    for _ in x:
        for i in range(len(x)):
            for j in range(len(x)):
                d = oracle.squared_distance(x[i].astype(float), x[j].astype(float), normalize=False)
                if d <= threshold:
                    reached[i] = reached[j] = min(reached[i], reached[j])
    same = np.equal.outer(reached, reached)
    assert (np.equal.outer(found.assignment, found.assignment) == same).all()


def test_the_threshold_of_verification_serves_clustering() -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(120) // 6
    x = generator.normal(size=(20, 16))[labels] + 0.25 * generator.normal(size=(120, 16))
    threshold = verification(x[:60], labels[:60], fars=(0.1,)).threshold
    for method in ("dbscan", "agglomerative"):
        found = clustering(x[60:], labels[60:], method=method, threshold=threshold)
        assert found.clusters == 10
        assert found.nmi == found.b_cubed.f == found.pairwise.f == pytest.approx(1.0)
    means = clustering(x[60:], labels[60:], method="kmeans")
    assert means.clusters == 10
    assert means.nmi > 0.9
    assert clustering(x, labels, method="kmeans", clusters=3).clusters == 3


def test_one_threshold_in_each_distance() -> None:
    generator = np.random.default_rng(1)
    x, labels = generator.normal(size=(60, 3)), np.arange(60) // 4
    squared = clustering(x, labels, threshold=0.09, min_samples=3)
    for distance, threshold in ((Euclidean(), 0.3), (Cosine(), 0.045)):
        other = clustering(x, labels, threshold=threshold, distance=distance, min_samples=3)
        assert other.assignment.tolist() == squared.assignment.tolist()
    assert 15 < squared.clusters < 60


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "'dbscan' came with threshold=None"),
        ({"method": "kmeans", "threshold": 1.0}, "'kmeans' came with threshold=1.0"),
        ({"method": "spectral"}, "'agglomerative' or 'kmeans', got 'spectral'"),
        ({"threshold": -1.0}, "threshold must be 0 or above and finite, got -1.0"),
        ({"threshold": float("nan")}, "threshold must be 0 or above and finite, got nan"),
        ({"threshold": 1.0, "clusters": 3}, "clusters is for method='kmeans'"),
        ({"threshold": 1.0, "labels": [0]}, "3 embeddings came with 1 labels"),
    ],
)
def test_bad_arguments_are_said(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        clustering(np.eye(3), **{"labels": [0, 1, 2], **arguments})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="2 assignments came with 1 labels"):
        cluster_scores([0, 1], ["a"])


def test_without_scikit_learn_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.cluster", None)
    with pytest.raises(ImportError, match=r"pip install 'metricface\[evaluation\]'"):
        cluster_scores([0, 1], [0, 1])
