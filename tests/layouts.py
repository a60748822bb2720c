"""Random batches for property tests: every layout of labels a user may bring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from tests.oracles.mining import Layout


@dataclass
class Batch:
    """The arguments of one call, and the same told to an oracle."""

    embeddings: Tensor
    labels: list[int]
    ref_emb: Tensor | None
    ref_labels: list[int] | None
    ids: list[int] | None
    ref_ids: list[int] | None
    dtype: torch.dtype

    @property
    def reference(self) -> Tensor:
        return self.embeddings if self.ref_emb is None else self.ref_emb

    @property
    def layout(self) -> Layout:
        return Layout(self.labels, self.ref_labels, self.ids, self.ref_ids)

    def _tensor(self, values: list[int] | None) -> Tensor | None:
        return None if values is None else torch.tensor(values, dtype=self.dtype)

    @property
    def arguments(self) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
        """embeddings, labels, ref_emb, ref_labels"""
        return (
            self.embeddings,
            self._tensor(self.labels),
            self.ref_emb,
            self._tensor(self.ref_labels),
        )

    @property
    def keywords(self) -> dict[str, Any]:
        ids = {"ids": self._tensor(self.ids), "ref_ids": self._tensor(self.ref_ids)}
        return {name: value for name, value in ids.items() if value is not None}


def draw_rows(count: int, dim: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, dim, dtype=torch.float64, generator=generator)


@st.composite
def batches(draw: st.DrawFn, max_size: int = 12, references: bool = True) -> Batch:
    """Singletons, one identity, unbalanced classes, repeated ids, empty and cloned references."""
    dtype = draw(st.sampled_from([torch.int64, torch.int32, torch.int16, torch.uint8, torch.int8]))
    size = draw(st.integers(0, max_size))
    identities = draw(st.integers(1, 6))
    label = st.integers(0, identities - 1)
    labels = draw(st.lists(label, min_size=size, max_size=size))
    embeddings = draw_rows(size, 4, draw(st.integers(0, 10_000)))
    sample = st.integers(0, 2 * max_size)
    kind = draw(st.sampled_from(["itself", "ids", "clone", "other", "other ids"]))
    if not references and kind not in ("itself", "ids"):
        kind = "itself"
    if kind == "itself":
        return Batch(embeddings, labels, None, None, None, None, dtype)
    ids = draw(st.lists(sample, min_size=size, max_size=size))
    if kind == "ids":
        return Batch(embeddings, labels, None, None, ids, None, dtype)
    if kind == "clone":
        same = list(range(size))
        return Batch(embeddings, labels, embeddings.clone(), list(labels), same, same, dtype)
    count = draw(st.integers(0, max_size))
    ref_labels = draw(st.lists(label, min_size=count, max_size=count))
    ref_emb = draw_rows(count, 4, draw(st.integers(0, 10_000)))
    if kind == "other":
        return Batch(embeddings, labels, ref_emb, ref_labels, None, None, dtype)
    ref_ids = draw(st.lists(sample, min_size=count, max_size=count))
    return Batch(embeddings, labels, ref_emb, ref_labels, ids, ref_ids, dtype)
