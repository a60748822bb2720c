"""What every miner, loss and classifier says of tensors that are no embeddings."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from metricface.embeddings import check_embeddings, set_finite_check
from metricface.memory import CrossBatchMemory
from tests.cases import CLASSIFIERS, LOSSES, MINERS
from tests.layouts import draw_rows

Call = Callable[[Tensor, Any], Any]
X, LABELS = draw_rows(6, 4, 0).float(), torch.tensor([0, 0, 1, 1, 2, 2])
CALLS: dict[str, Call] = {
    **{name: make() for name, make in MINERS.items()},
    **{name: make() for name, make in LOSSES.items()},
    **{name: make(3, 4) for name, make in CLASSIFIERS.items()},
}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


def nested(layout: torch.layout) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that nested tensors may change
        return torch.nested.nested_tensor(list(X), layout=layout)


def compressed() -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that sparse ones may change
        return X.to_sparse_csr()


def quantized() -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that quantized ones may go
        return torch.quantize_per_tensor(X, 0.1, 0, torch.qint8)


@every_call
@pytest.mark.parametrize(
    ("make", "says"),
    [
        (X.to_sparse, r"a dense tensor, got layout torch.sparse_coo; .*to_dense\(\)"),
        (compressed, "a dense tensor, got layout torch.sparse_csr"),
        (X.to_mkldnn, "a dense tensor, got layout torch._mkldnn"),
        (lambda: nested(torch.strided), "a dense tensor, got a nested one"),
        (lambda: nested(torch.jagged), "a dense tensor, got a nested one"),
        (quantized, "floating point, got torch.qi"),
        (lambda: X.to(torch.complex64), "floating point, got torch.complex64"),
        (X.bool, "floating point, got torch.bool"),
        (X.numpy, "a tensor, got ndarray"),
        (X.tolist, "a tensor, got list"),
        (lambda: X.to("meta"), "hold values, got a tensor on the meta device"),
    ],
)
def test_what_is_no_matrix_of_numbers_is_told(
    call: Call, make: Callable[[], Tensor], says: str
) -> None:
    for switched_on in (True, False):
        with (
            set_finite_check(switched_on),
            pytest.raises((TypeError, ValueError), match=f"^embeddings must (be )?{says}"),
        ):
            call(make(), LABELS)


@every_call
@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_eight_bits_are_lifted_as_sixteen_are(call: Call, dtype: torch.dtype) -> None:
    short = X.to(dtype)
    if isinstance(call, torch.nn.Module):
        call.eval()
    found, expected = call(short, LABELS), call(short.float(), LABELS)
    if isinstance(expected, Tensor):
        assert found.equal(expected)
    bad = short.clone()
    bad[3, 2] = torch.nan
    with pytest.raises(ValueError, match="embeddings hold NaN or infinity, first in row 3 of 6"):
        call(bad, LABELS)


@every_call
@pytest.mark.parametrize("labels", [LABELS[:, None], LABELS[:, None].numpy()])
def test_labels_in_a_column_are_told_how_to_lie_down(call: Call, labels: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"\(6, 1\).*labels\.squeeze\(1\)"):
        call(X, labels)


def test_references_and_the_memory_are_named() -> None:
    with pytest.raises(TypeError, match=r"^ref_emb must be a dense tensor"):
        check_embeddings(X, X.to_sparse())
    with pytest.raises(ValueError, match=r"^ref_emb must hold values"):
        check_embeddings(X, X.to("meta"))
    with pytest.raises(TypeError, match=r"^embeddings must be a dense tensor"):
        CrossBatchMemory(4, 4).push(X.to_sparse(), LABELS)
