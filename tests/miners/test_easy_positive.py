from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metricface.miners import EasyPositiveMiner
from tests.layouts import Batch, batches
from tests.oracles.mining import distance_matrix, easy_positive


@given(batches(max_size=16), st.booleans())
@settings(deadline=None, max_examples=120)
def test_agrees_with_plain_loops(batch: Batch, semi_hard: bool) -> None:
    d = distance_matrix(batch.embeddings.numpy(), batch.reference.numpy())
    miner = EasyPositiveMiner("semi-hard" if semi_hard else "hardest")
    mined = miner(*batch.arguments, **batch.keywords)
    found = list(zip(*(t.tolist() for t in mined), strict=True))
    assert set(found) == easy_positive(d, batch.layout, semi_hard=semi_hard)
    assert len(found) == len(set(found))


def test_bad_settings_are_described() -> None:
    with pytest.raises(ValueError, match="got 'easy'"):
        EasyPositiveMiner("easy")  # type: ignore[arg-type]
