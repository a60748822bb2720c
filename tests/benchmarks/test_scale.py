"""The scale benchmarks run at a small size and measure what they say."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from benchmarks.scale import against_product, evaluation, ijb, offline, processes, samplers, table
from benchmarks.scale.__main__ import main
from benchmarks.scale.against_product import Data
from benchmarks.scale.clustered import clustered
from benchmarks.scale.one_rank import Cost
from benchmarks.scale.traffic import replicated_bytes, sharded_bytes


def test_embeddings_are_unit_and_clustered() -> None:
    x, labels = clustered(600, 32)
    assert torch.allclose(torch.linalg.vector_norm(x, dim=1), torch.ones(600), atol=1e-5)
    assert labels.bincount().double().mean() == pytest.approx(12, abs=1)
    same = labels[:, None] == labels
    near = torch.cdist(x, x)
    assert near[same].mean() < 0.8 * near[~same].mean()


def test_making_them_in_parts_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x, labels = clustered(300, 8)
    monkeypatch.setattr("benchmarks.scale.clustered._PART", 7)
    in_parts, same_labels = clustered(300, 8)
    assert torch.equal(labels, same_labels)
    assert torch.allclose(x, in_parts, atol=1e-6)


@pytest.mark.parametrize("search", ["exact", "hnsw"])
def test_a_search_costs_seconds_and_memory_and_has_recall(
    search: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(against_product, "WARM_UP", 60)
    cost = against_product.cost(offline.MEASURES[search], 400, 400, 16, 5, threads=1)
    assert cost.seconds > 0
    assert cost.cpu_s > 0
    assert cost.added_mib >= 0
    assert cost.recall is None if search == "exact" else 0.5 < (cost.recall or 0) <= 1


def test_some_anchors_are_the_first_of_all() -> None:
    data = Data(*clustered(300, 8), anchors=300, k=4)
    some = data._replace(anchors=20)
    everyone = offline.search(data, "exact")
    assert (offline.search(some, "exact").indices == everyone.indices[:20]).all()
    assert offline.recall(some, everyone) == 1.0


def test_ours_and_the_peers_queries_are_the_same() -> None:
    data = Data(*clustered(300, 8), anchors=40, k=4)
    for each in (data, data._replace(anchors=300)):
        found, theirs = evaluation.search(each), evaluation.peer(each)
        assert isinstance(theirs, dict)
        assert found.recall[1] == pytest.approx(theirs["precision_at_1"])
        assert found.map_at_r == pytest.approx(theirs["mean_average_precision_at_r"])
    assert found.queries > 200


def test_listed_pairs_are_of_both_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "LISTED", 2_000)
    found = evaluation.listed_pairs(Data(*clustered(600, 4), anchors=600, k=4))
    assert 0.5 < found.auc < 1
    assert found.genuine_pairs >= 900
    assert found.impostor_pairs >= 900


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """No processes: starting one takes seconds."""

    def directly(function: Callable[..., Any], *arguments: object) -> Any:
        return function(*arguments)

    monkeypatch.setattr(against_product, "in_own_process", directly)
    monkeypatch.setattr(against_product, "WARM_UP", 60)


SMALL = ["--dim", "8", "--repeats", "1", "--threads", "1"]


@pytest.mark.usefixtures("here")
def test_the_table_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "evaluation.csv"
    asked = ["--samples", "300", "--measures", "product", "histogram", "--out", str(file)]
    assert main(["evaluation", *SMALL, *asked]) == 0
    kept = pd.read_csv(file)
    assert kept["measure"].tolist() == ["product", "histogram"]
    assert kept["anchors"].tolist() == [300, 300]
    assert kept["times_product"][1] == pytest.approx(kept["cpu_s"][1] / kept["cpu_s"][0])
    assert capsys.readouterr().out.count("\n") == 3


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("table", ["evaluation", "offline"])
def test_a_device_is_named_or_refused(table: str, capsys: pytest.CaptureFixture[str]) -> None:
    asked = [table, *SMALL, "--samples", "300", "--measures", "product", "--device"]
    assert main([*asked, "cpu"]) == 0
    with pytest.raises(SystemExit) as stopped:
        main([*asked, "cuda:99"])
    assert stopped.value.code == 2
    assert "argument --device: cuda:99 is not to be had here" in capsys.readouterr().err


@pytest.mark.usefixtures("here")
def test_above_a_size_only_some_are_anchors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(against_product, "ALL_UP_TO", 200)
    monkeypatch.setattr(against_product, "ANCHORS", 30)
    file = tmp_path / "offline.csv"
    searches = ["--samples", "300", "--measures", "product", "exact", "hnsw", "--out", str(file)]
    assert main(["offline", *SMALL, *searches]) == 0
    kept = pd.read_csv(file).set_index("measure")
    assert kept["anchors"].to_dict() == {"product": 30, "exact": 30, "hnsw": 300}
    per_anchor = kept["cpu_s"] / kept["anchors"]
    expected = per_anchor / per_anchor["product"]
    assert kept["times_product"].to_dict() == pytest.approx(expected.to_dict())
    assert main(["evaluation", *SMALL, "--samples", "300", "--measures", "histogram"]) == 0
    assert "left out: it is of all 4.5e+04 pairs, not of 30 anchors" in capsys.readouterr().out


def test_a_process_that_dies_is_a_row_that_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BrokenProcessPool):
        against_product.in_own_process(os._exit, 1)
    died = against_product.Row(
        measure="exact",
        samples=9,
        anchors=9,
        dim=8,
        threads=1,
        seconds=None,
        cpu_s=None,
        times_product=None,
        added_mib=None,
        recall=None,
        note="  died",
    )
    assert table.show([died], against_product.COLUMNS, None) == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert line.split() == ["exact", "9", "9", *["-"] * 5, "died"]


@pytest.mark.parametrize(
    ("error", "note"),
    [
        (BrokenProcessPool(), "its process was killed: not enough memory?"),
        (MemoryError(), "not enough memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "not enough memory"),
    ],
)
def test_want_of_memory_does_not_end_the_table(
    error: Exception,
    note: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def dies(*_: object) -> None:
        raise error

    monkeypatch.setattr(against_product, "in_own_process", dies)
    asked = ["evaluation", *SMALL, "--samples", "300", "--measures", "product", "pml"]
    assert main(asked) == 0
    _, first, second = capsys.readouterr().out.splitlines()
    assert first.endswith(f"-  {note}")
    assert second.endswith(f"-  {note}")


def test_other_errors_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(against_product, "in_own_process", breaks)
    with pytest.raises(RuntimeError, match="broken"):
        main(["evaluation", *SMALL, "--samples", "300", "--measures", "product"])


def test_samplers_are_printed_under_their_headings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "new" / "samplers.csv"
    sizes = ["--images", "2000", "--labels", "uniform", "--samplers", "PKSampler images"]
    assert (
        main(["samplers", *sizes, "--repeats", "1", "--seconds", "0.01", "--out", str(file)]) == 0
    )
    heading, line = capsys.readouterr().out.splitlines()
    expected = "sampler labels images set-up s first batch s batches/s × peer peak MiB B/image"
    assert " ".join(heading.split()) == expected
    assert len(line) <= len(heading) == sum(len(c.head()) for c in samplers.COLUMNS)
    assert pd.read_csv(file)["images"].tolist() == [2000]


def test_record_files_are_opened_in_both_forms(tmp_path: Path) -> None:
    file = tmp_path / "records.csv"
    assert main(["records", "--images", "3000", "--identities", "40", "--out", str(file)]) == 0
    kept = pd.read_csv(file)
    assert kept["form"].tolist() == ["insightface", "im2rec"]
    assert kept["images"].tolist() == [3000, 3000]


def test_ijb_is_measured_from_its_lists_to_its_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ijb, "in_own_process", lambda function, *arguments: function(*arguments))
    file = tmp_path / "ijb.csv"
    assert main(["ijb", "--share", "0.02", "--dim", "8", "--threads", "1", "--out", str(file)]) == 0
    kept = pd.read_csv(file).set_index("step")
    expected = {"read faces": 9_388, "pool": 463, "verify": 313_170, "identify": 392}
    assert kept["count"].loc[list(expected)].to_dict() == expected
    assert kept["note"]["verify"].strip().startswith("TAR at FAR 1e-05: 0.")
    assert kept["note"]["identify"].strip().startswith("rank 1 0.")


def test_at_full_size_it_is_ijb_c() -> None:
    size = ijb.Size(share=1, dim=8)
    assert (len(size.template), len(size.subject)) == (469_375, 23_124)
    assert len(set(size.number.tolist())) == 23_124
    assert len(set(size.template.tolist())) == 23_124
    both, same = ijb.Size(share=0.01, dim=8).pairs()
    assert (len(both), same.sum()) == (156_585, 196)
    subject = ijb.Size(share=0.01, dim=8).subject
    assert ((subject[both[:, 0]] == subject[both[:, 1]]) == same).all()


PROCESSES = ["processes", "--batch", "24", "--dim", "16", "--classes", "6000", "--steps", "2"]


def test_a_step_on_two_processes_is_measured(tmp_path: Path) -> None:
    file = tmp_path / "processes.csv"
    some = ["triplets, metricface", "contrastive, pml", "contrastive, pml efficient"]
    asked = ["--processes", "2", "--contenders", *some, "ArcFace, in DDP", "--out", str(file)]
    assert main([*PROCESSES, *asked]) == 0
    kept = pd.read_csv(file).set_index("contender")
    assert len(kept) == 4
    assert (kept[["seconds", "cpu_s"]] > 0).all(axis=None)
    error = kept["gradient_error"]
    assert (error.drop("contrastive, pml efficient") < 1e-12).all()
    assert error["contrastive, pml efficient"] > 0.1  # references are constants to it
    assert kept["versions"].str.contains("pytorch-metric-learning 2").all()
    # What the kernel counted is what the formula says, and what DDP sends for the network.
    sent = kept["sent_mb"]
    if sent.notna().all():
        expected = replicated_bytes(6000, 16, ranks=2) / 1e6
        assert expected < sent["ArcFace, in DDP"] < 1.1 * expected


def test_a_contender_that_is_not_to_be_had_is_a_row_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = Cost([], [], None, float("nan"), None, "  there is none")
    monkeypatch.setattr(processes, "_of_ranks", lambda *_: [[missing]] * 2)
    file = tmp_path / "processes.csv"
    asked = ["--processes", "2", "--contenders", "ArcFace, sharded", "--out", str(file)]
    assert main([*PROCESSES, *asked]) == 0
    assert capsys.readouterr().out.splitlines()[2].endswith("-  there is none")
    assert pd.read_csv(file)["seconds"].isna().all()


def test_parts_of_several_lengths_are_refused() -> None:
    with pytest.raises(SystemExit, match="--batch must be a multiple of 4 times each of --proc"):
        main([*PROCESSES, "--processes", "2", "5"])


def test_traffic_is_what_the_collectives_move(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Added up ring step by ring step: W − 1 of them for half an all-reduce."""
    ranks, identities, batch, dim = 4, 100, 8, 3
    chunk = identities * dim * 4 / ranks
    assert replicated_bytes(identities, dim, ranks) == 2 * 3 * chunk
    part = batch / ranks  # rows, gradients; labels; three numbers a row, reduced and shared out
    assert sharded_bytes(batch, dim, ranks) == 3 * part * (2 * dim * 4 + 8 + 2 * 3 * 4)
    file = tmp_path / "traffic.csv"
    assert main(["traffic", "--gpus", "8", "--out", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["head", "identities", "batch", "GPUs", "MB", "sent"]
    assert lines[1].split() == ["replicated", "85,742", "-", "8", "307.3"]
    kept = pd.read_csv(file)
    assert kept["sent_mb"].tolist() == sorted(kept["sent_mb"][:3]) + sorted(kept["sent_mb"][3:])
