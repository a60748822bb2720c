"""Embeddings as other tools leave them: torch files, lists in Parquet, names beside them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from metricface.cli import main
from metricface.evaluation import retrieval
from tests.cli.asked import scored

LABELS = np.arange(48) // 4
X = np.random.default_rng(0).normal(size=(48, 5)).astype("f4") + LABELS[:, None] % 5
NAMES = [f"p{label:02d}/{i}.jpg" for i, label in enumerate(LABELS)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(command: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence of a command that fails."""
    capsys.readouterr()
    assert main(command) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    return err


def test_torch_files_are_read_as_tensors_and_nothing_else(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = [f"p{label}" for label in LABELS]
    x = torch.from_numpy(X).requires_grad_()
    torch.save({"embeddings": x, "labels": labels, "names": NAMES, "epoch": 3}, "dict.pt")
    torch.save(x, "x.pt")
    torch.save(torch.from_numpy(LABELS), "y.pt")
    right = retrieval(X, LABELS)
    for source in (["dict.pt"], ["x.pt", "--labels", "y.pt"]):
        found = scored(*source)["retrieval"]
        assert found["recall"] == {str(k): pytest.approx(v) for k, v in right.recall.items()}
    torch.save(x.detach().bfloat16(), "half.pt")
    assert scored("half.pt", "--labels", "y.pt")["samples"] == 48

    class Harm:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return os.mkdir, ("harmed",)

    torch.save({"embeddings": Harm()}, "harm.pt")
    assert "harm.pt is damaged, or holds more than tensors" in told(["evaluate", "harm.pt"], capsys)
    assert not Path("harmed").exists()
    Path("cut.pt").write_bytes(Path("x.pt").read_bytes()[:-100])
    assert "cut.pt is damaged" in told(["evaluate", "cut.pt"], capsys)
    torch.save({"weights": x}, "other.pt")
    assert "other.pt holds no labels" in told(["evaluate", "other.pt"], capsys)


def test_arrays_of_numpy_in_a_torch_file_are_said_to_be_so(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x = torch.from_numpy(X)
    for labels in (LABELS, list(LABELS), [np.str_(label) for label in LABELS]):
        torch.save({"embeddings": x, "labels": labels}, "x.pt")
        said = told(["evaluate", "x.pt"], capsys)
        assert "x.pt holds arrays or numbers of numpy, which would have to be unpickled" in said
        assert "torch.from_numpy(array)" in said
        assert ".tolist()" in said
        assert "damaged" not in said


@pytest.mark.parametrize("file", ["x.pth", "X.PT"])
def test_torch_files_by_their_other_endings(file: str, folder: Path) -> None:
    torch.save({"embeddings": torch.from_numpy(X), "labels": LABELS.tolist()}, file)
    assert scored(file)["samples"] == 48


def test_a_column_of_lists_in_parquet_is_the_embeddings(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.DataFrame({"label": LABELS, "name": NAMES, "x": list(X)})
    table.to_parquet("x.parquet")
    right = retrieval(X, LABELS).recall
    assert scored("x.parquet")["retrieval"]["recall"] == {str(k): v for k, v in right.items()}
    assert scored("x.parquet")["dimensions"] == 5
    table.assign(box=list(X[:, :4]), score=X[:, 0]).to_parquet("more.parquet")
    said = told(["evaluate", "more.parquet"], capsys)
    assert "column 'x' holds a list in each row, and there is also 'box'" in said
    assert "--columns x" in said
    assert scored("more.parquet", "--columns", "x")["retrieval"]["recall"]["1"] == right[1]
    table.assign(x=[*X[:7], X[7, :3], *X[8:]]).to_parquet("ragged.parquet")
    assert "row 7: column 'x' must hold a list of 5 numbers, got" in told(
        ["evaluate", "ragged.parquet"], capsys
    )


def test_names_go_from_the_input_into_the_impostors(folder: Path) -> None:
    np.savez("named.npz", embeddings=X, labels=LABELS, names=np.array(NAMES))
    assert main(["mine", "named.npz", "--k", "2", "--out", "m.csv"]) == 0
    table = pd.read_csv("m.csv")
    assert table["anchor_name"].tolist() == [NAMES[i] for i in table["anchor"]]
    assert table["impostor_name"].tolist() == [NAMES[i] for i in table["impostor"]]
    np.savez("plain.npz", embeddings=X, labels=LABELS)
    assert main(["mine", "plain.npz", "--k", "2", "--out", "m.csv"]) == 0
    assert list(pd.read_csv("m.csv")) == ["anchor", "rank", "impostor", "distance"]


def test_queries_are_searched_for_in_a_gallery(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save("q.npy", X[::4])
    np.save("ql.npy", LABELS[::4])
    np.savez("g.npz", embeddings=X, labels=LABELS, names=np.array(NAMES))
    search = ["--query", "q.npy", "--query-labels", "ql.npy", "--gallery", "g.npz", "--k", "3"]
    found = scored(*search)
    expected = retrieval(X[::4], LABELS[::4], ks=(3,), gallery=X, gallery_labels=LABELS)
    assert found["retrieval"]["recall"] == {"3": expected.recall[3]} == {"3": 1.0}
    assert (found["samples"], found["gallery samples"]) == (12, 48)
    # named on both sides, an image is not found as itself
    np.savez("q.npz", embeddings=X, labels=LABELS, names=np.array(NAMES))
    near = scored("--query", "q.npz", "--gallery", "g.npz")["retrieval"]
    assert near["recall"]["1"] == retrieval(X, LABELS).recall[1] < 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--query", "q.npy"], "or both --query and --gallery"),
        ([], "give a file of embeddings, or both"),
        (["x.npy", "--query", "q.npy", "--gallery", "g.npy"], "EMBEDDINGS is of one set"),
        (["--query", "q.npy", "--gallery", "g.npy", "--roc", "r.png"], "--roc is of one set"),
        (["x.npy", "--gallery-labels", "y.npy"], "--gallery-labels goes with --query"),
    ],
)
def test_one_set_and_a_search_are_not_mixed(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", *arguments]) == 2
    words = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert said in words
