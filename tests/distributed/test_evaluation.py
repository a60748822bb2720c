"""Several ranks that evaluate or search one set find what one process finds."""

from __future__ import annotations

from math import ceil
from typing import Any

import pytest

from metricface.distributed.together import Together
from metricface.evaluation.streaming import EmbeddingMetric
from tests.distributed.evaluation_program import SET, SHARED, content
from tests.processes import run

LISTS_FEW = {"impostors, anchors", "no anchors", "gallery", "listed"}
BY_IDENTITY = {"look-alikes", "look-alikes, drawn"}


@pytest.fixture(scope="module", params=[2, 3])
def said(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What each of two or three processes found."""
    folder = tmp_path_factory.mktemp("evaluation")
    return run("tests.distributed.evaluation_program", folder, request.param)


def test_the_answer_is_that_of_one_process_to_the_last_bit(said: Any) -> None:
    answers = said[0]["answers"]
    assert len(answers) > 100
    assert [name for name, (shared, alone) in answers.items() if shared != alone] == []


def test_every_rank_has_it(said: Any) -> None:
    first = {name: shared for name, (shared, _) in said[0]["answers"].items()}
    for own in said:
        assert {name: shared for name, (shared, _) in own["answers"].items()} == first


def test_a_metric_gathers_the_batches_of_all_and_each_sample_once(said: Any) -> None:
    alone = EmbeddingMetric(fars=(0.1,))
    alone.update(*SET)
    figures = {name: pytest.approx(float(value)) for name, value in alone.compute().items()}
    assert [own["streamed"] for own in said] == [figures] * len(said)


@pytest.mark.parametrize("what", sorted(SHARED.keys() - LISTS_FEW - BY_IDENTITY))
def test_the_work_is_shared(said: Any, what: str) -> None:
    shares, (alone, *_) = zip(*(own["work"][what] for own in said), strict=True)
    # What lies beside the diagonal is of every rank, where genuine pairs are wanted.
    assert 0 < alone <= sum(shares) <= (len(said) + 1) / 2 * alone
    assert max(shares) <= 0.75 * alone


@pytest.mark.parametrize("index", ["ivf", "hnsw"])
def test_an_approximate_search_is_shared_too(said: Any, index: str) -> None:
    answers = [own["approximate"][index] for own in said]
    assert all(answer == answers[0] for answer in answers)
    assert answers[0][1] > 0.9


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("length", "{last} has {} [29] of checksum"),
        ("dimension", "{last} has {} [30] of checksum"),
        ("dtype", "{last} has the {} as 6 columns of torch.float64 on cpu"),
        ("labels", "{last} has {labels} [30] of checksum"),
        ("a number", "{last} has {} [30] of checksum"),
        ("NaN", "{last}: ValueError: {} hold NaN or infinity, first in row 4 of 30"),
        ("type", "{last}: TypeError: {} must be floating point, got torch.int64"),
    ],
)
@pytest.mark.parametrize(
    "what", ["impostors", "hard pairs", "look-alikes", "histogram", "verification", "hardest"]
)
def test_ranks_with_different_sets_hear_the_same(
    said: Any, case: str, says: str, what: str
) -> None:
    last = f"rank {len(said) - 1} of {len(said)}"
    heard = {own["refused"][f"{case} | {what}"] for own in said}
    assert len(heard) == 1
    assert says.format("embeddings", last=last, labels="labels") in heard.pop()


@pytest.mark.parametrize("what", ["retrieval", "identification"])
def test_so_do_those_that_search_in_different_sets(said: Any, what: str) -> None:
    last = f"rank {len(said) - 1} of {len(said)}"
    cases = ("length", "dimension", "dtype", "labels", "a number", "NaN", "type")
    for case in cases:
        (heard,) = {own["refused"][f"{case} | {what}"] for own in said}
        assert last in heard, case


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("k", "{last} has settings (4, 'exact', None, None, None, None) and rank 0 has (5,"),
        ("no k", "{last}: ValueError: k must be at least 1, got 0"),
        ("distance", "has the embeddings as 6 columns of torch.float32 on cpu, Cosine(normalize=T"),
        ("bins", "{last} has edges of the bins [8] of checksum"),
        ("form", "{last} has settings (True, 2, (1.0,), 0) and rank 0 has"),
        ("gallery", "{last} has gallery [30] of checksum"),
        ("beyond", "{last} has edges of the bins"),
    ],
)
def test_ranks_that_ask_differently_hear_the_same(said: Any, case: str, says: str) -> None:
    heard = {own["refused"][case] for own in said}
    assert len(heard) == 1
    assert says.format(last=f"rank {len(said) - 1} of {len(said)}") in heard.pop()


@pytest.mark.parametrize("what", sorted(SHARED.keys() - LISTS_FEW - BY_IDENTITY))
def test_what_breaks_on_one_rank_breaks_on_all(said: Any, what: str) -> None:
    heard = {own["broken"][what] for own in said}
    assert heard == {f"rank 1 of {len(said)}: MemoryError: no more of it"}


def test_one_rank_shows_a_bar(said: Any) -> None:
    assert [own["bar"] for own in said] == [True] + [False] * (len(said) - 1)


@pytest.mark.parametrize("what", SHARED)
def test_without_a_process_group_one_process_does_it_all(what: str) -> None:
    ask = SHARED[what]
    assert content(ask(*SET, across_ranks=True)) == content(ask(*SET))


@pytest.mark.parametrize(("count", "step"), [(0, 1), (1, 1), (7, 3), (12, 4), (100, 8), (5, 64)])
@pytest.mark.parametrize("ranks", [1, 2, 3, 8])
def test_each_row_is_of_one_rank(count: int, step: int, ranks: int) -> None:
    rows: list[int] = []
    items: list[int] = []
    for rank in range(ranks):
        together = Together(across_ranks=True)
        together.rank, together.count = rank, ranks
        own = range(count)[together.stretch(count, step)]
        assert own.start % step == 0 or not own
        assert len(own) <= ceil(ceil(count / step) / ranks) * step
        rows += own
        items += range(count)[together.turns(3)]
    assert rows == list(range(count))
    assert sorted(items) == list(range(count))
