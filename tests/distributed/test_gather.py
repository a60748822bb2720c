"""The batch of all processes: rows, labels, ids and gradients, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from metricface.distributed import gather_batch, rank, world_size
from tests.distributed.gather_program import COUNTS, DTYPES, NAMES
from tests.distributed.killed_program import TIMEOUT
from tests.processes import run


@pytest.fixture(scope="module", params=[2, 3])
def said(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What each of two or three processes found."""
    folder = tmp_path_factory.mktemp("gather")
    return run("tests.distributed.gather_program", folder, request.param)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", COUNTS)
def test_rows_and_gradients_are_those_of_one_process(said: Any, name: str, dtype: str) -> None:
    numbers = list(range(sum(COUNTS[name][: len(said)])))
    for own in said:
        assert own[f"{name}, {dtype}"] == {
            "rows": True,
            "labels": numbers,
            "ids": numbers,
            "gradient": True,
            "dtype": f"torch.{dtype}",
        }


def test_a_reduce_scatter_gives_the_gradient_of_an_all_reduce(said: Any) -> None:
    for own in said:
        if own["shared out"] is None:
            pytest.skip("this version of gloo has no reduce-scatter")
        assert own["shared out"] == own["uneven, float32"]


def test_strings_arrive_as_they_are(said: Any) -> None:
    assert [own["strings"] for own in said] == [NAMES[: 2 * len(said) - 2]] * len(said)


def test_a_rank_without_gradient_goes_backward_with_the_others(said: Any) -> None:
    assert [own["without gradient"] for own in said] == [[True, True, False]] * len(said)


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("dimension", "{last} has embeddings of dimension 5 and rank 0 has embeddings of dim"),
        (
            "dtype",
            "{last} has embeddings of torch.float64 and rank 0 has embeddings of torch.float",
        ),
        ("ids", "{last} has ids and rank 0 has no ids"),
        ("kind", "{last} has strings as labels and rank 0 has integers as labels"),
        ("NaN", "{last}: embeddings hold NaN or infinity, first in row 1 of 2"),
        ("number", "{last}: 2 embeddings came with 1 labels"),
        ("matrix", "{last}: a match matrix speaks of the rows of one process only"),
        ("unsigned", "{last}: labels travel between processes as int64, got 9223372036854775808"),
        ("unsigned tensor", "{last}: labels travel between processes as int64, got 9223372036854"),
        ("type", "{last}: embeddings must be floating point, got torch.int64"),
        ("nothing", "{last}: embeddings must be a tensor, got NoneType"),
    ],
)
def test_every_rank_hears_what_is_wrong_with_one(said: Any, case: str, says: str) -> None:
    world = len(said)
    heard = {own["refused"][case] for own in said}
    assert len(heard) == 1
    assert says.format(last=f"rank {world - 1} of {world}") in heard.pop()


def test_a_killed_rank_is_an_error_on_the_others(tmp_path: Path) -> None:
    first, killed, last = run("tests.distributed.killed_program", tmp_path, 3, killed={1})
    assert killed is None
    assert max(first, last) < TIMEOUT + 5


@pytest.mark.parametrize("ids", [None, [4, 5, 6]])
def test_one_process_has_the_batch_already(ids: list[int] | None) -> None:
    x = torch.rand(3, 2, requires_grad=True)
    embeddings, labels, known = gather_batch(x, np.array([2, 2, 1], dtype=np.uint8), ids)
    assert embeddings is x
    assert isinstance(labels, torch.Tensor)
    assert labels.tolist() == [2, 2, 1]
    assert known is None if ids is None else torch.equal(torch.as_tensor(known), torch.tensor(ids))
    assert (rank(), world_size()) == (0, 1)


def test_one_process_says_what_is_wrong_as_every_other_part_does() -> None:
    with pytest.raises(TypeError, match="must be all integers or all strings"):
        gather_batch(torch.zeros(2, 2), [0.5, 1.5])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="match matrix"):
        gather_batch(torch.zeros(2, 2), torch.eye(2, dtype=torch.bool))
