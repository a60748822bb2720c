"""What drawing by weight promises that the miner does not show."""

from __future__ import annotations

import pytest
import torch

from metricface.miners.inverse_density import cumulative_weights, draw_columns


@pytest.mark.parametrize("dim", [2, 3, 128, 1024])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_weights_never_vanish_nor_overflow(dim: int, dtype: torch.dtype) -> None:
    rows = torch.tensor(
        [[0.0, 0.5, 1.3], [1.399, 1.3999, 1.39999], [1.9, 1.99, 1.9999], [torch.inf] * 3],
        dtype=dtype,
    )
    total = cumulative_weights(rows, dim, 0.5, 2.0)[:, -1]
    assert total.isfinite().all()
    assert (total[:3] >= 0.99).all()
    assert total[3] == 0


def test_inversion_picks_each_column_in_its_interval() -> None:
    cumulative = torch.tensor([[0.0, 1.0, 1.0, 4.0, 4.0]])
    unit = torch.tensor([0.0, 0.2499, 0.25, 0.9999999])
    row = torch.zeros(4, dtype=torch.int64)
    assert draw_columns(cumulative, row, unit).tolist() == [1, 1, 3, 3]
