"""One step's numbers, computed on the device and read later."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from metricface.diagnostics.logs import Record
from metricface.distances import Distance
from metricface.embeddings import working_dtype

QUANTILES = (0.05, 0.5, 0.95)
SAMPLE = 1 << 16  # pairs measured in a step, spread evenly over those mined


class MeasuredStep:
    """One step's numbers on the device, and their way to the host."""

    def __init__(
        self,
        step: int,
        embeddings: Tensor,
        indices: Sequence[Tensor],
        loss: Tensor,
        distance: Distance,
        margin: float | Literal["soft"],
        ref_emb: Tensor | None,
    ) -> None:
        anchor, positive = indices[0], indices[1]
        other_anchor, negative = (anchor, indices[2]) if len(indices) == 3 else indices[2:]
        self._known = {
            "step": float(step),
            "positives": float(len(positive)),
            "negatives": float(len(negative)),
        }
        x = embeddings.detach()
        y = x if ref_emb is None else ref_emb.detach()
        near = _sampled_distances(distance, x, y, anchor, positive)
        far = _sampled_distances(distance, x, y, other_anchor, negative)
        norm = torch.linalg.vector_norm(x.double(), dim=1)  # which holds every float32 squared
        rows = distance.rows(x, working_dtype(x))
        spread = distance.from_squared((rows - rows.mean(0)).square().sum(dim=1)).mean()
        values = {
            "loss": loss.detach().mean(),
            "active": _active(near, far, margin, paired=len(indices) == 3),
            **_quantiles("positive", near),
            **_quantiles("negative", far),
            "norm_mean": norm.mean(),
            "norm_std": norm.std(correction=0),
            "spread": spread,
        }
        self._names = list(values)
        self._values = _to_host(torch.stack([value.float() for value in values.values()]))
        self._gradient: tuple[Tensor, Any] | None = None
        if embeddings.requires_grad:
            embeddings.register_hook(self._see_gradient)  # type: ignore[no-untyped-call]

    def _see_gradient(self, gradient: Tensor) -> None:
        norm = torch.linalg.vector_norm(gradient.detach().double(), dim=1)
        share = norm.sum().square() / (len(norm) * norm.square().sum())
        self._gradient = _to_host(share)

    def record(self) -> Record:
        """Everything as floats; waits only for copies begun a step ago."""
        record = self._known | dict(zip(self._names, _arrived(self._values).tolist(), strict=True))
        gradient = math.nan if self._gradient is None else float(_arrived(self._gradient))
        return record | {"gradient_share": gradient}


def _sampled_distances(
    distance: Distance, x: Tensor, y: Tensor, rows: Tensor, columns: Tensor
) -> Tensor:
    """Distances of pairs, of every n-th where there are too many."""
    step = max(1, math.ceil(len(rows) / SAMPLE))
    return distance.gathered(x, y, rows[::step], columns[::step])


def _active(near: Tensor, far: Tensor, margin: float | Literal["soft"], *, paired: bool) -> Tensor:
    """Share of terms that the hinge has not made 0; with a soft margin all are active."""
    if len(far) == 0:
        return far.new_zeros(())
    if margin == "soft":
        return far.new_ones(())
    held = near - far + margin > 0 if paired else far < margin
    return held.float().mean()


def _quantiles(name: str, values: Tensor) -> dict[str, Tensor]:
    """Named quantiles; NaN if there are no values."""
    keys = [f"{name}_q{round(100 * q):02d}" for q in QUANTILES]
    if len(values) == 0:
        return {key: values.new_full((), math.nan) for key in keys}
    found = torch.quantile(values.float(), values.new_tensor(QUANTILES, dtype=torch.float32))
    return dict(zip(keys, found, strict=True))


def _to_host(values: Tensor) -> tuple[Tensor, Any]:
    """Begin a copy to the host; the second item tells when it has arrived."""
    if values.device.type != "cuda":
        return values, None
    target = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    target.copy_(values, non_blocking=True)
    arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
    arrived.record()
    return target, arrived


def _arrived(pending: tuple[Tensor, Any]) -> Tensor:
    values, event = pending
    if event is not None:
        event.synchronize()
    return values.cpu()
