"""Names say which row is meant: two files are joined by them, and what is unclear is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from metricface.cli import main
from metricface.evaluation import retrieval
from tests.cli.asked import refused, scored

LABELS = np.arange(48) // 4
X = np.random.default_rng(0).normal(size=(12, 5))[LABELS].astype("f4")
X += np.random.default_rng(1).normal(size=X.shape).astype("f4")
NAMES = np.array([f"p{label:02d}/{i}.jpg" for i, label in enumerate(LABELS)])
SHUFFLED = np.random.default_rng(2).permutation(48)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    np.savez("x.npz", embeddings=X, names=NAMES)
    return tmp_path


def test_labels_in_another_order_are_joined_by_name() -> None:
    right = retrieval(X, LABELS, whole_ranking=True).mean_average_precision
    table = pd.DataFrame({"name": NAMES, "label": LABELS}).iloc[SHUFFLED]
    table.to_csv("l.csv", index=False)
    table.to_parquet("l.parquet", index=False)
    np.savez("l.npz", labels=LABELS[SHUFFLED], names=NAMES[SHUFFLED].astype("S"))
    for labels in ("l.csv", "l.parquet", "l.npz"):
        found = scored("x.npz", "--labels", labels)["retrieval"]
        assert found["mean_average_precision"] == pytest.approx(right)


def test_labels_without_names_on_both_sides_belong_to_the_rows() -> None:
    right = scored("x.npz", "--labels", _saved("l.npz", labels=LABELS))["retrieval"]
    plain = _saved("plain.npz", embeddings=X)
    named = _saved("named.npz", labels=LABELS, names=NAMES)
    assert scored(plain, "--labels", named)["retrieval"] == right
    # Names that repeat, in the same order in both files, leave nothing unclear.
    same = np.array([Path(name).parent.name for name in NAMES])
    twice = _saved("twice.npz", labels=LABELS, names=same)
    x = _saved("same.npz", embeddings=X, names=same)
    assert scored(x, "--labels", twice)["retrieval"] == right


def test_names_that_do_not_join_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    other = _saved("l.npz", labels=LABELS, names=np.where(NAMES[7] == NAMES, "new", NAMES))
    said = refused(capsys, "evaluate", "x.npz", "--labels", other)
    assert "x.npz, row 7: l.npz has no label for the name 'p01/7.jpg'" in said
    twice = np.where(NAMES[7] == NAMES, NAMES[5], NAMES)[::-1]
    _saved("l.npz", labels=LABELS, names=twice)
    said = refused(capsys, "mine", "x.npz", "--labels", "l.npz", "--out", "m.csv")
    assert "l.npz: the name 'p01/5.jpg' stands in rows 40 and 42" in said


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (NAMES[:30], "x.npz holds 48 embeddings but 30 names"),
        (np.append(NAMES, "z"), "x.npz holds 48 embeddings but 49 names"),
        (NAMES.reshape(24, 2), "x.npz must hold one string per row as names, got <U10 of shape"),
        (np.arange(48.0), "x.npz must hold one string per row as names, got float64"),
        (np.array([b"\xff"] * 48), "x.npz: names are bytes that are no UTF-8"),
    ],
)
@pytest.mark.parametrize("command", [["evaluate"], ["mine", "--out", "m.csv"], ["histogram"]])
def test_names_are_one_string_for_each_row(
    command: list[str], names: Any, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _saved("x.npz", embeddings=X, labels=LABELS, names=names)
    assert said in refused(capsys, *command, "x.npz")


def test_bytes_are_read_as_the_text_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    who = np.char.encode(np.array([f"ä{label}" for label in LABELS]), "utf-8")
    _saved("x.npz", embeddings=X, labels=who, names=NAMES.astype("S"))
    assert main(["mine", "x.npz", "--k", "1", "--out", "m.csv"]) == 0
    assert pd.read_csv("m.csv")["anchor_name"].tolist() == NAMES.tolist()
    text = np.char.decode(who, "utf-8")
    gallery = _saved("g.npz", embeddings=X, labels=text, names=NAMES)
    assert scored("--query", "x.npz", "--gallery", gallery)["retrieval"]["unmatched"] == 0
    _saved("n.npz", embeddings=X, labels=LABELS[:-1], names=np.array([b"a"] * 48))
    assert "47 labels" in refused(capsys, "evaluate", "n.npz")


def test_a_search_refuses_names_that_stand_twice(capsys: pytest.CaptureFixture[str]) -> None:
    good = _saved("good.npz", embeddings=X, labels=LABELS, names=NAMES)
    twice = _saved("t.npz", embeddings=X, labels=LABELS, names=np.append(NAMES[:47], NAMES[0]))
    for query, gallery in ((good, twice), (twice, good)):
        said = refused(capsys, "evaluate", "--query", query, "--gallery", gallery)
        assert "t.npz: the name 'p00/0.jpg' stands in rows 0 and 47" in said
    # Where only one file has names, they say nothing of the other's.
    plain = _saved("plain.npz", embeddings=X, labels=LABELS)
    assert scored("--query", plain, "--gallery", twice)["samples"] == 48


def test_labels_of_two_files_are_compared_as_text_where_one_has_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    numbers = pd.DataFrame(X, columns=list("abcde")).assign(label=LABELS)
    numbers.iloc[:24].to_csv("q.csv", index=False)
    mixed = numbers.assign(label=[*map(str, LABELS[:44]), *["unknown"] * 4])
    mixed.to_csv("g.csv", index=False)
    found = scored("--query", "q.csv", "--gallery", "g.csv")["retrieval"]
    assert found["unmatched"] == 0
    found = scored("--query", "g.csv", "--gallery", "q.csv")["retrieval"]
    assert found["unmatched"] == 24
    # 007 is no number: it is another identity than 7.
    numbers.assign(label=[f"{label:03d}" for label in LABELS]).to_csv("g.csv", index=False)
    said = refused(capsys, "evaluate", "--query", "q.csv", "--gallery", "g.csv")
    assert "g.csv" in said
    assert "no label of q.csv is among those of g.csv: '0' and '000', for example" in said


def _saved(file: str, **arrays: Any) -> str:
    np.savez(file, **arrays)
    return file
