"""The commands against the library; damaged files end in one sentence and leave nothing behind."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import metricface
from metricface.cli import main
from metricface.evaluation import class_distances, retrieval, verification
from metricface.offline import nearest_impostors

GENERATOR = np.random.default_rng(0)
LABELS = np.arange(48) // 4
X = (GENERATOR.normal(size=(12, 5))[LABELS] + 0.5 * GENERATOR.normal(size=(48, 5))).astype("f4")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", X)
    np.save("y.npy", LABELS)
    np.save("names.npy", np.array([f"p{label:02d}" for label in LABELS]))
    np.savez("both.npz", embeddings=X, labels=LABELS)
    table = pd.DataFrame(X, columns=[f"d{i}" for i in range(5)])
    table.assign(label=[f"{label:03d}" for label in LABELS]).to_csv("both.csv", index=False)
    table.assign(label=LABELS, name=[f"i{i}" for i in range(48)]).to_csv("named.csv", index=False)
    return tmp_path


@pytest.mark.parametrize(
    "source",
    [
        ["x.npy", "--labels", "y.npy"],
        ["x.npy", "--labels", "names.npy"],
        ["both.npz"],
        ["both.csv"],
    ],
)
def test_evaluate_writes_what_the_library_says(source: list[str], folder: Path) -> None:
    options = ["--far", "0.1", "--k", "2", "--folds", "4", "--out", "r.json", "--roc", "r.png"]
    assert main(["evaluate", *source, *options]) == 0
    report = json.loads((folder / "r.json").read_text())
    expected = verification(X, LABELS, folds=4, fars=(0.1,))
    assert report["verification"]["accuracy"] == pytest.approx(expected.accuracy)
    assert report["verification"]["tar"] == {"0.1": pytest.approx(expected.tar[0.1])}
    assert report["verification"]["val"]["0.1"]["mean"] == pytest.approx(expected.val[0.1].mean)
    near = retrieval(X, LABELS, ks=(2,))
    assert report["retrieval"]["recall"] == {"2": pytest.approx(near.recall[2])}
    assert (folder / "r.png").read_bytes().startswith(b"\x89PNG")


def test_evaluate_takes_a_list_of_pairs(folder: Path) -> None:
    pairs = [(i, i + 1) for i in range(40)]
    rows = [("first", "second", "same")] + [
        (f"i{i}", f"i{j}", int(LABELS[i] == LABELS[j])) for i, j in pairs
    ]
    with open("pairs.csv", "w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    options = ["--folds", "4", "--far", "0.5", "--out", "r.json"]
    assert main(["evaluate", "named.csv", "--pairs", "pairs.csv", *options]) == 0
    same = [bool(LABELS[i] == LABELS[j]) for i, j in pairs]
    expected = verification(X, pairs=pairs, same=same, folds=4, fars=(0.5,))
    report = json.loads((folder / "r.json").read_text())
    assert report["verification"]["accuracy"] == pytest.approx(expected.accuracy)
    assert "retrieval" not in report


def test_histogram_writes_counts_summary_and_picture(folder: Path) -> None:
    options = ["--bins", "20", "--csv", "h.csv", "--png", "h.png", "--out", "h.json"]
    assert main(["histogram", "both.npz", *options, "--distance", "cosine", "--log"]) == 0
    from metricface.distances import Cosine

    expected = class_distances(X, LABELS, bins=20, distance=Cosine())
    table = pd.read_csv(folder / "h.csv")
    assert table["intra"].tolist() == expected.intra.tolist()
    assert table["inter"].tolist() == expected.inter.tolist()
    np.testing.assert_allclose(table["from"], expected.edges[:-1])
    report = json.loads((folder / "h.json").read_text())
    assert report["d_prime"] == pytest.approx(expected.d_prime)
    assert report["intra_quantiles"]["0.5"] == pytest.approx(expected.quantiles(0.5)[0])
    assert (folder / "h.png").stat().st_size > 1000


def test_histograms_of_two_models_share_their_bins_on_request(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["histogram", "both.npz", "--upper", "4", "--bins", "8", "--csv", "h.csv"]) == 0
    assert pd.read_csv(folder / "h.csv")["to"].tolist() == [0.5 * n for n in range(1, 9)]
    assert main(["histogram", "both.npz", "--upper", "0.01"]) == 1
    assert "is beyond upper=0.01" in capsys.readouterr().err


def test_mine_writes_the_neighbours(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--k", "3", "--out", "m.csv", "--index", "hnsw", "--effort", "48"]
    assert main(["mine", "both.npz", *options, "--near-duplicate", "0.1"]) == 0
    table = pd.read_csv(folder / "m.csv")
    expected = nearest_impostors(X, LABELS, 3, near_duplicate=0.1)
    assert table["impostor"].tolist() == expected.indices.ravel().tolist()
    np.testing.assert_allclose(table["distance"], expected.distances.ravel(), rtol=1e-5)
    assert table["anchor"].tolist() == np.repeat(range(48), 3).tolist()
    assert "recall of 48 samples  1.0000" in capsys.readouterr().out


def _damaged(folder: Path) -> None:
    (folder / "cut.npy").write_bytes((folder / "x.npy").read_bytes()[:-7])
    (folder / "cut.npz").write_bytes((folder / "both.npz").read_bytes()[:-30])
    (folder / "empty.npy").write_bytes(b"")
    (folder / "noise.npz").write_bytes(b"PK\x03\x04 nonsense")
    np.save(folder / "pickled.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    bad = X.copy()
    bad[17, 2] = np.nan
    np.save(folder / "nan.npy", bad)
    np.save(folder / "flat.npy", X.ravel())
    np.save(folder / "whole.npy", LABELS[:, None])
    np.save(folder / "short.npy", LABELS[:-1])
    np.save(folder / "real.npy", LABELS + 0.5)
    np.savez(folder / "only.npz", labels=LABELS)
    lines = (folder / "both.csv").read_text().splitlines()
    lines[6] = lines[6].replace(lines[6].split(",")[1], "oops")
    (folder / "word.csv").write_text("\n".join(lines))
    (folder / "ragged.csv").write_text("\n".join([*lines[:5], lines[5] + ",1,2"]))
    (folder / "nocolumn.csv").write_text("d0,d1\n1,2\n3,4\n")
    (folder / "x.txt").write_text("1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.npy"], "missing.npy does not exist"),
        (["."], ". must end in .npy"),
        (["x.txt"], "x.txt must end in .npy, .npz, .pt, .pth, .csv, .tsv or .parquet"),
        (["cut.npy", "--labels", "y.npy"], "cut.npy is damaged or no .npy file"),
        (["empty.npy", "--labels", "y.npy"], "empty.npy is damaged or no .npy file"),
        (["cut.npz"], "cut.npz is damaged or no .npz file"),
        (["noise.npz"], "noise.npz is damaged or no .npz file"),
        (["pickled.npy", "--labels", "y.npy"], "pickled.npy: it is an array of Python objects"),
        (["nan.npy", "--labels", "y.npy"], "nan.npy, row 17: NaN or infinity"),
        (["flat.npy", "--labels", "y.npy"], "flat.npy must hold floating-point embeddings"),
        (["whole.npy", "--labels", "y.npy"], "whole.npy must hold floating-point embeddings"),
        (["x.npy", "--labels", "short.npy"], "48 embeddings but short.npy holds 47 labels"),
        (["x.npy", "--labels", "real.npy"], "real.npy must hold one integer or string per row"),
        (["x.npy"], "x.npy holds no labels: name a file"),
        (["only.npz"], "only.npz holds no embeddings, only labels"),
        (["word.csv"], "word.csv, row 5: column 'd1' is no number: 'oops'"),
        (["ragged.csv"], "ragged.csv is damaged"),
        (["nocolumn.csv"], "nocolumn.csv holds no labels"),
        (["both.npz", "--distance", "manhattan"], "--distance must be squared, euclidean, cosine"),
    ],
)
@pytest.mark.parametrize("command", ["evaluate", "histogram", "mine"])
def test_damage_is_one_sentence_and_leaves_nothing(
    command: str,
    arguments: list[str],
    message: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _damaged(folder)
    before = sorted(folder.iterdir())
    assert main([command, *arguments, "--out", "out.json"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("metricface: ")
    assert err.count("\n") == 1
    assert message in err
    assert sorted(folder.iterdir()) == before


def test_a_missing_folder_is_said_before_the_work(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["mine", "both.npz", "--out", "nowhere/m.csv"]) == 1
    assert "there is no folder nowhere" in capsys.readouterr().err
    Path("taken").mkdir()
    for option in ("--out", "--html"):
        assert main(["evaluate", "gone.npz", option, "taken"]) == 1
        assert "taken cannot be written: it is a folder" in capsys.readouterr().err


def test_the_format_of_a_picture_is_checked_before_the_work(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(folder.iterdir())
    options = ["--far", "0.1", "--roc", "r.xyz", "--out", "r.json"]
    for command in (["evaluate", "both.npz", *options], ["histogram", "gone.npz", "--png", "r"]):
        assert main(command) == 1
        err = capsys.readouterr().err
        assert "cannot be drawn: its ending must be one of" in err, "said before a file is read"
        assert ", png," in err
    assert sorted(folder.iterdir()) == before


def test_pairs_that_do_not_fit_are_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("pairs.csv").write_text("first,second,same\ni0,i99,1\n")
    assert main(["evaluate", "named.csv", "--pairs", "pairs.csv"]) == 1
    assert "pair 0 needs 'i99', which has no embedding" in capsys.readouterr().err
    assert main(["evaluate", "both.csv", "--pairs", "pairs.csv"]) == 1
    assert "both.csv holds no names" in capsys.readouterr().err


def test_a_far_out_of_reach_is_a_warning_and_null(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "both.npz", "--far", "1e-6", "--out", "r.json"]) == 0
    assert "metricface: warning: FAR 1e-06 needs" in capsys.readouterr().err
    report = json.loads((folder / "r.json").read_text())
    assert report["verification"]["tar"] == {"1e-06": None}


def test_usage_errors_are_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mine"]) == 2
    assert main(["mine", "x.npy", "--out", "m.csv", "--k", "many"]) == 2
    assert main(["bake"]) == 2
    assert "bake" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("evaluate gone.npz --k 0", "Invalid value for '--k'"),
        ("evaluate gone.npz --folds 0", "Invalid value for '--folds'"),
        ("histogram gone.npz --bins 0", "Invalid value for '--bins'"),
        ("mine gone.npz --out m.csv --k 0", "Invalid value for '--k'"),
        ("mine gone.npz --out m.csv --index ivf --effort 0", "Invalid value for '--effort'"),
        ("mine gone.npz --out m.csv --effort 9", "--effort goes with --index ivf or hnsw"),
        ("evaluate gone.npz --pairs p.csv --k 3", "--k is of the search, which --pairs leaves out"),
    ],
)
def test_options_that_make_no_sense_are_said_first(
    command: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command.split()) == 2
    assert said in " ".join(capsys.readouterr().err.replace("│", " ").split())


@pytest.mark.parametrize("option", ["--label-column", "--name-column"])
@pytest.mark.parametrize(
    "command",
    [
        "evaluate both.npz",
        "evaluate both.npz --pairs pairs.csv",
        "histogram both.npz",
        "mine both.npz --out m.csv",
        "evaluate --query both.npz --gallery both.npz",
        "evaluate x.npy --labels y.npy",
    ],
)
def test_columns_of_files_without_columns_are_refused(
    command: str, option: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command.split(), option, "who"]) == 1
    said = capsys.readouterr().err
    assert f"{option} is for .csv, .tsv and .parquet, and no file given is one" in said


def test_a_column_of_one_of_the_files_is_enough(folder: Path) -> None:
    pd.read_csv("named.csv").rename(columns={"label": "who"}).to_csv("t.csv", index=False)
    who = ["--label-column", "who", "--columns", "d0-d4"]
    assert main(["evaluate", "x.npy", "--labels", "t.csv", *who[:2]]) == 0
    assert main(["evaluate", "--query", "both.npz", "--gallery", "t.csv", *who[:2]]) == 0


def test_mine_tells_what_it_wrote(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mine", "both.npz", "--k", "1000", "--out", "m.csv"]) == 0
    written = len(pd.read_csv("m.csv"))
    assert written == 48 * 44
    words = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["impostors", "written", str(written)] in words


def test_missing_packages_are_one_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert main(["histogram", "both.csv"]) == 1
    assert "pip install 'metricface[tables]'" in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    for engine in ("pyarrow", "fastparquet"):
        monkeypatch.setitem(sys.modules, engine, None)
    Path("x.parquet").write_bytes(b"PAR1")
    assert main(["histogram", "x.parquet"]) == 1
    assert "reading x.parquet needs pyarrow: pip install pyarrow" in capsys.readouterr().err
    code = "import sys; sys.modules['typer'] = None; from metricface.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "metricface: the metricface command needs typer: " + (
        "pip install 'metricface[cli]'\n"
    )


def test_parquet_is_read_as_the_csv_of_the_same_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    labels = np.repeat(np.arange(12), 3)
    numbers = np.random.default_rng(0).normal(size=(36, 4)) + labels[:, None]
    table = pd.DataFrame(numbers, columns=[f"e{i}" for i in range(4)]).assign(label=labels)
    table.to_parquet("x.parquet")
    table.to_csv("x.csv", index=False)
    for name in ("parquet", "csv"):
        assert main(["evaluate", f"x.{name}", "--out", f"{name}.json"]) == 0
    found = [json.loads(Path(f"{name}.json").read_text()) for name in ("parquet", "csv")]
    assert found[0]["retrieval"] == found[1]["retrieval"]
    assert found[0]["retrieval"]["queries"] == 36


def _scores(*arguments: str) -> dict[str, Any]:
    assert main(["evaluate", *arguments, "--far", "0.1", "--out", "r.json"]) == 0
    report: dict[str, Any] = json.loads(Path("r.json").read_text())
    return report


OFFERED = ("--columns d0-d4", "--label-column", "--name-column")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("index", "column 'Unnamed: 0' has no name of its own, as the index that pandas writes"),
        ("count", "column 'row' counts the rows"),
        ("backwards", "column 'row' counts the rows"),
        ("split", "column 'split' holds whole numbers, the others do not"),
        ("flag", "column 'flag' holds whole numbers, the others do not"),
        ("level", "column '__index_level_0__' has no name of its own"),
        ("two", "column 'Unnamed: 0' has no name of its own, as the index that pandas writes (and"),
    ],
)
def test_a_column_that_need_not_be_a_dimension_is_refused_and_can_be_left_out(
    change: str, message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.read_csv("both.csv", dtype={"label": str})
    right = _scores("both.csv")
    assert (right["samples"], right["dimensions"]) == (48, 5)
    added: dict[str, dict[str, Any]] = {
        "count": {"row": np.arange(48) + 7.0},
        "backwards": {"row": 48 - np.arange(48)},
        "split": {"split": np.arange(48) % 2},
        "flag": {"flag": np.arange(48) % 2 == 0},
        "level": {"__index_level_0__": np.arange(48)[::-1] // 2 + 0.5},
        "two": {"split": np.arange(48) % 2},
    }
    table = table.assign(**added.get(change, {}))
    table.to_csv("t.csv", index=change in ("index", "two"))
    table.to_parquet("t.parquet", index=False)
    capsys.readouterr()
    for file in ("t.csv", "t.parquet")[: 1 if change in ("index", "two") else 2]:
        assert main(["evaluate", file]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert message in err
        assert all(option in err for option in OFFERED)
        assert _scores(file, "--columns", "d0-d4") | {"embeddings": "both.csv"} == right
        capsys.readouterr()


@pytest.mark.parametrize("command", ["evaluate", "histogram", "mine"])
def test_every_command_says_first_what_it_read(
    command: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pd.read_csv("both.csv").rename(columns={"label": "who"}).to_csv("t.csv")
    options = ["--label-column", "who", "--columns", "d4,d0-d2", "--out", "o"]
    assert main([command, "t.csv", *options]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[:3] == [["embeddings", "t.csv"], ["samples", "48"], ["dimensions", "4"]]


def test_columns_are_named_by_the_user(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    right = _scores("both.csv")
    table = pd.read_csv("both.csv", dtype=str)
    table.columns = pd.Index([*(str(n) for n in range(5)), "identity"])
    table.assign(path="a.jpg").to_csv("t.csv", index=False)
    capsys.readouterr()
    who = ["--label-column", "identity"]
    for options, message in (
        ([], "t.csv holds no labels: it has no column 'label'; name that of the identities with"),
        (who, "t.csv, row 0: column 'path' is no number: 'a.jpg'; columns that are no dimensions"),
        ([*who, "--name-column", "file"], "t.csv has no column 'file'; its columns are 0, 1, 2"),
        (["--label-column", "nobody"], "with --labels; its columns are 0, 1, 2, 3, …, path"),
        ([*who, "--columns", "0-5"], "t.csv has no column '5'"),
        ([*who, "--columns", "0-2,1"], "names a column twice"),
        ([*who, "--columns", "0-identity"], "has no column '0-identity'"),
        ([*who, "--columns", "4-0"], "has no column"),
        ([*who, "--columns", "0,,1"], "has no column ''"),
        ([*who, "--columns", "0,identity"], "besides labels and names"),
    ):
        assert main(["evaluate", "t.csv", *options]) == 1, options
        err = capsys.readouterr().err
        assert message in err
    found = _scores("t.csv", "--label-column", "identity", "--columns", "0-4")
    assert found["retrieval"] == right["retrieval"]
    assert main(["evaluate", "both.npz", "--columns", "0-4"]) == 1
    assert "--columns is for .csv and .parquet, both.npz has no columns" in capsys.readouterr().err


def test_labels_in_a_table_of_their_own_and_in_an_index(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    right = _scores("both.csv")["retrieval"]
    pd.DataFrame({"path": "a.jpg", "label": [f"{label:03d}" for label in LABELS]}).to_csv("l.csv")
    assert _scores("x.npy", "--labels", "l.csv")["retrieval"] == right
    table = pd.read_csv("both.csv", dtype={"label": str}).set_index("label")
    table.to_parquet("i.parquet")
    assert _scores("i.parquet")["retrieval"] == right
    capsys.readouterr()
    table.reset_index(drop=True).to_csv("l.csv", index=False)
    assert main(["evaluate", "x.npy", "--labels", "l.csv"]) == 1
    assert (
        "l.csv holds no labels: it has no column 'label'; name that of the"
        in capsys.readouterr().err
    )
    pd.read_csv("both.csv").assign(label=["", *LABELS[1:]]).to_csv("gap.csv", index=False)
    assert main(["evaluate", "gap.csv"]) == 1
    assert "gap.csv, row 0: column 'label' is empty" in capsys.readouterr().err


def test_whole_numbers_throughout_are_embeddings(folder: Path) -> None:
    codes = np.round(X * 50).astype(int)
    pd.DataFrame(codes, columns=list("abcde")).assign(label=LABELS).to_csv("t.csv", index=False)
    assert _scores("t.csv")["dimensions"] == 5


@pytest.mark.parametrize(
    "arguments", [["o.npy", "--labels", "y.npy"], ["x.npy", "--labels", "o.npy"]]
)
def test_arrays_of_objects_are_said_to_be_so(
    arguments: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save("o.npy", np.array(["anna", 7], dtype=object), allow_pickle=True)
    np.savez("o.npz", embeddings=X, labels=np.array(["anna"] * 48, dtype=object))
    for case in (arguments, ["o.npz"]):
        assert main(["evaluate", *case]) == 1
        err = capsys.readouterr().err
        assert "array of Python objects (dtype=object)" in err
        assert "np.array(labels.tolist())" in err
        assert "damaged" not in err


@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        (["evaluate", "both.npz", "--far", "1e-6", "--out", "r.json", "--roc", "r.png"], "r.png"),
        (["histogram", "both.npz", "--png", "h.png", "--csv", "h.csv"], "h.png"),
        (["mine", "both.npz", "--k", "2", "--out", "m.csv"], "m.csv"),
        (["mine", "--help"], None),
        (["mine", "nothing.npz", "--out", "m.csv"], None),
    ],
)
def test_a_reader_that_closes_at_once_is_no_error(
    arguments: list[str], written: str | None, folder: Path
) -> None:
    code = "import sys; from metricface.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, *arguments]
    tested = {**os.environ, "PYTHONPATH": str(Path(metricface.__file__).parents[1])}
    done = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder, env=tested
    )
    assert done.stdout is not None
    assert done.stderr is not None
    done.stdout.close()
    if "--far" in arguments:
        done.stderr.close()  # as 2>&1 | head does; a warning is written there
        said = b""
    else:
        said = done.stderr.read()
        done.stderr.close()
    missing = "nothing.npz" in arguments
    assert done.wait() == (1 if missing else 0)
    assert b"Traceback" not in said
    assert b"Exception" not in said
    assert bool(said) == missing
    if written is not None:
        assert (folder / written).stat().st_size > 100
