"""CSV files as people leave them: read as they are meant, or else refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.cli.asked import refused, scored

LABELS = np.arange(48) // 4
X = np.random.default_rng(0).normal(size=(12, 5))[LABELS]
X += np.random.default_rng(1).normal(size=X.shape)
TABLE = pd.DataFrame(X, columns=[f"e{i}" for i in range(5)])
TABLE.insert(0, "label", [f"p{label}" for label in LABELS])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    TABLE.to_csv("good.csv", index=False)
    return tmp_path


def _changed(file: str, change: Any) -> None:
    """The good table with its lines changed; the header is line 0."""
    lines = Path("good.csv").read_text().splitlines()
    text = "\n".join(change(number, line) for number, line in enumerate(lines))
    Path(file).write_text(text + "\n")


def test_a_comma_too_many_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """pandas would take the first field of each row for an index, and people would merge."""

    def with_comma(number: int, line: str) -> str:
        return line if number == 0 else "Smith," + line

    _changed("all.csv", with_comma)
    _changed("first.csv", lambda number, line: with_comma(number, line) if number < 2 else line)
    _changed("some.csv", lambda number, line: with_comma(number * (number == 3), line))
    _changed("end.csv", lambda number, line: line + "," * (number > 0))
    wanted = ["label", "e0", "e1", "e2", "e3"]
    for file, where in (("all", "row 0"), ("first", "row 0"), ("some", "line 4"), ("end", "row 0")):
        for options in ([], ["--columns", "e0-e3"]):
            said = refused(capsys, "evaluate", f"{file}.csv", *options)
            assert f"{file}.csv is damaged: {where} has 7 fields, the header 6" in said
            assert "quotes" in said
    TABLE.assign(label="Smith, " + TABLE["label"])[wanted].to_csv("quoted.csv", index=False)
    assert scored("quoted.csv")["dimensions"] == 4


def test_tables_with_other_separators_are_read_where_the_header_leaves_no_doubt(
    capsys: pytest.CaptureFixture[str],
) -> None:
    right = scored("good.csv")
    for file, separator in (("semi.csv", ";"), ("tab.csv", "\t"), ("x.tsv", "\t"), ("Y.TSV", "\t")):
        TABLE.to_csv(file, index=False, sep=separator)
        assert scored(file) | {"embeddings": "good.csv"} == right
    TABLE.to_csv("decimal.csv", index=False, sep=";", decimal=",")
    assert "row 0: column 'e0' is no number: '" in refused(capsys, "evaluate", "decimal.csv")
    Path("label.csv").write_text("label\n" + "".join(f"a;{label}\n" for label in LABELS))
    np.save("x.npy", X)
    assert scored("x.npy", "--labels", "label.csv")["samples"] == 48
    TABLE.rename(columns={"label": "a;b"}).to_csv("both.csv", index=False)
    assert scored("both.csv", "--label-column", "a;b")["dimensions"] == 5


def test_another_encoding_is_said_to_be_one(capsys: pytest.CaptureFixture[str]) -> None:
    for encoding in ("utf-16", "utf-16-be"):
        text = ("\ufeff" if encoding == "utf-16-be" else "") + Path("good.csv").read_text()
        Path("u.csv").write_bytes(text.encode(encoding))
        assert "u.csv is UTF-16 text: save it as UTF-8" in refused(capsys, "evaluate", "u.csv")
    right = scored("good.csv")
    TABLE.to_csv("bom.csv", index=False, encoding="utf-8-sig")
    assert scored("bom.csv") | {"embeddings": "good.csv"} == right


@pytest.mark.parametrize("label", ["²", "--5", "-", "٣", "-0", "1" * 30])
def test_labels_that_only_look_like_numbers_are_strings(label: str) -> None:
    other = ["1", label]
    TABLE.assign(label=[other[i % 2] for i in LABELS]).to_csv("t.csv", index=False)
    assert scored("t.csv")["verification"]["genuine_pairs"] == 2 * (24 * 23 // 2)


def test_spaces_around_a_label_do_not_count() -> None:
    right = scored("good.csv")
    spaced = [f"{label} " if row % 2 else f" {label}" for row, label in enumerate(TABLE["label"])]
    TABLE.assign(label=spaced).to_csv("t.csv", index=False)
    assert scored("t.csv") | {"embeddings": "good.csv"} == right


@pytest.mark.parametrize(
    "names", [[f"e{i}" for i in range(5)], [*"01234"], [f"x_{i:03}" for i in range(5)]]
)
@pytest.mark.parametrize("added", ["age", "timestamp", "age1"])
def test_a_number_beside_a_numbered_series_is_refused(
    names: list[str], added: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table = TABLE.set_axis(["label", *names], axis=1)
    table.to_csv("good.csv", index=False)
    right = scored("good.csv")
    quality = np.random.default_rng(3).random(48)
    table.insert(2, added, quality)
    table.to_csv("t.csv", index=False)
    table.to_parquet("t.parquet", index=False)
    for file in ("t.csv", "t.parquet"):
        said = refused(capsys, "evaluate", file)
        assert f"{file}: column {added!r} is not numbered as {names[0]} to {names[-1]} are" in said
        listed = f"{names[0]}-{names[-1]}"
        assert f"with --columns {listed}" in said
        assert scored(file, "--columns", listed) | {"embeddings": "good.csv"} == right


@pytest.mark.parametrize("names", ["a b c d e", "a1 a2 b1 b2 c", "e1 x y z w"])
def test_columns_without_one_series_are_all_dimensions(names: str) -> None:
    TABLE.set_axis(["label", *names.split()], axis=1).to_csv("t.csv", index=False)
    assert scored("t.csv")["dimensions"] == 5
