"""A metric that is fed batch by batch says what the functions say of the whole set."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics import MetricCollection

from metricface.distances import Cosine
from metricface.evaluation import retrieval, verification
from metricface.evaluation.streaming import EmbeddingMetric
from tests.layouts import draw_rows

LABELS = torch.arange(60) // 4
X = draw_rows(15, 6, 0)[LABELS] + 0.9 * draw_rows(60, 6, 1)


def fed(metric: EmbeddingMetric, *sides: torch.Tensor) -> EmbeddingMetric:
    for batch in zip(*(torch.split(side, 7) for side in sides), strict=True):
        metric.update(*batch)
    return metric


def test_it_says_what_the_functions_say() -> None:
    found = fed(
        EmbeddingMetric(ks=(1, 3), fars=(0.1, 0.01), distance=Cosine()), X, LABELS
    ).compute()
    near = retrieval(X, LABELS, ks=(1, 3), whole_ranking=True, distance=Cosine())
    same = verification(X, LABELS, fars=(0.1, 0.01), distance=Cosine())
    assert {name: float(value) for name, value in found.items()} == pytest.approx(
        {
            "recall_at_1": near.recall[1],
            "recall_at_3": near.recall[3],
            "r_precision": near.r_precision,
            "map_at_r": near.map_at_r,
            "map": near.mean_average_precision,
            "mrr": near.mrr,
            "eer": same.eer,
            "auc": same.auc,
            "tar_at_far_0.1": same.tar[0.1],
            "tar_at_far_0.01": same.tar[0.01],
        }
    )


def test_with_ids_a_repeated_sample_counts_once() -> None:
    ids = torch.arange(60)
    repeated = torch.cat([ids, ids[:10]])
    once = fed(EmbeddingMetric(), X, LABELS, ids).compute()
    twice = fed(EmbeddingMetric(), X[repeated], LABELS[repeated], repeated).compute()
    without = fed(EmbeddingMetric(), X[repeated], LABELS[repeated]).compute()
    assert twice == once
    assert without["recall_at_1"] > once["recall_at_1"]


def test_ids_of_batches_are_no_ids_of_samples() -> None:
    """Counted anew in each batch, they would leave one batch of all."""
    metric = EmbeddingMetric()
    for x, labels in zip(torch.split(X, 20), torch.split(LABELS, 20), strict=True):
        metric.update(x, labels, torch.arange(20))
    with pytest.raises(
        ValueError, match="id 0 came with the labels 0 and 5: ids must tell samples"
    ):
        metric.compute()


def test_a_sample_whose_embeddings_differ_is_told_of() -> None:
    ids, repeated = torch.arange(60), torch.tensor([7, 7])
    metric = fed(EmbeddingMetric(), X, LABELS, ids)
    expected = metric.compute()
    metric.update(X[repeated] * (1 + 1e-3), LABELS[repeated], repeated)  # of another kernel
    assert metric.compute() == expected
    metric.update(-X[repeated], LABELS[repeated], repeated)
    with pytest.warns(UserWarning, match="2 rows, the first of id 7, have an id that came before"):
        assert metric.compute() == expected


def test_reset_forgets_and_copies_keep() -> None:
    metric = fed(EmbeddingMetric(), X, LABELS)
    kept, found = pickle.loads(pickle.dumps(copy.deepcopy(metric))), metric.compute()
    assert kept.compute() == found
    metric.reset()
    before = pytest.warns(UserWarning, match="before the ``update``")  # torchmetrics says so
    with before, pytest.raises(ValueError, match="no batch has arrived"):
        metric.compute()


@pytest.mark.parametrize("labels", [[0], [0, 1], [0, 0]], ids=str)
def test_what_too_few_rows_cannot_tell_is_nan(labels: list[int]) -> None:
    """As in the few batches that Lightning tries before it trains."""
    metric = EmbeddingMetric()
    metric.update(X[: len(labels)], torch.tensor(labels))
    with pytest.warns(UserWarning, match="too few for some figures"):
        found = metric.compute()
    assert bool(found["eer"].isnan())
    assert bool(found["recall_at_1"].isnan()) == (len(set(labels)) == len(labels))


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ((X, LABELS[:5]), ValueError, "60 embeddings came with labels of shape"),
        ((X, LABELS.tolist()), TypeError, "labels must be an integer tensor"),
        ((X, LABELS.double()), TypeError, "labels must be an integer tensor"),
        ((X, LABELS, LABELS[:, None]), ValueError, "ids of shape"),
        ((X * float("nan"), LABELS), ValueError, "NaN"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_as_it_arrives(
    given: Any, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        EmbeddingMetric().update(*given)


def test_ids_come_always_or_never() -> None:
    metric = fed(EmbeddingMetric(), X, LABELS)
    with pytest.raises(ValueError, match="every batch or with none"):
        metric.update(X, LABELS, torch.arange(60))


def test_figures_that_are_not_known() -> None:
    with pytest.raises(ValueError, match="figures must be some of retrieval, verification"):
        EmbeddingMetric(("recall",))  # type: ignore[arg-type]


class Embedder(pl.LightningModule):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Linear(6, 4)
        self.metric = EmbeddingMetric(("retrieval",))

    def training_step(self, batch: list[torch.Tensor]) -> torch.Tensor:
        value: torch.Tensor = self.network(batch[0]).square().mean()
        return value

    def validation_step(self, batch: list[torch.Tensor]) -> None:
        self.metric.update(self.network(batch[0]), batch[1])

    def on_validation_epoch_end(self) -> None:
        self.log_dict(MetricCollection([self.metric]).compute())
        self.metric.reset()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)


@pytest.mark.filterwarnings("ignore")  # Lightning's own, of loaders without workers
def test_in_lightning(tmp_path: Any) -> None:
    loader = DataLoader(TensorDataset(X.float(), LABELS), batch_size=9)
    trainer = pl.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    module = Embedder()
    trainer.fit(module, loader, loader)
    with torch.no_grad():
        expected = retrieval(module.network(X.float()), LABELS, ks=(1, 5))
    assert trainer.callback_metrics["recall_at_1"] == pytest.approx(expected.recall[1])
