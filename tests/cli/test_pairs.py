"""Lists of pairs that contradict themselves, or the labels beside them, are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from metricface.cli import main

LABELS = np.arange(24) // 4
X = np.random.default_rng(0).normal(size=(24, 5)).astype("f4")
NAMES = np.array([f"i{row}" for row in range(24)])
PAIRS = [(f"i{4 * n}", f"i{4 * n + second}", second == 1) for n in range(5) for second in (1, 5)]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    np.savez("x.npz", embeddings=X, labels=LABELS, names=NAMES)
    np.savez("plain.npz", embeddings=X, names=NAMES)
    np.save("y.npy", LABELS)
    return tmp_path


def judged(
    pairs: list[tuple[str, str, bool]], source: str = "plain.npz", file: str = "p.csv"
) -> int:
    lines = [f"{first},{second},{same:d}\n" for first, second, same in pairs]
    Path(file).write_text("first,second,same\n" + "".join(lines))
    return main(["evaluate", *source.split(), "--pairs", file, "--folds", "5", "--far", "0.5"])


def test_pairs_that_agree_are_taken_in_either_order_and_more_than_once() -> None:
    more = [(second, first, same) for first, second, same in PAIRS]
    for source in ("plain.npz", "x.npz", "plain.npz --labels y.npy"):
        assert judged(PAIRS + more, source) == 0
    assert judged(PAIRS, file="PAIRS.CSV") == 0


@pytest.mark.parametrize(
    ("pairs", "source", "said"),
    [
        ([*PAIRS, ("i3", "i3", True)], "plain.npz", "pair 10 is 'i3' and itself"),
        (
            [*PAIRS, ("i1", "i0", False)],
            "plain.npz",
            "pairs 0 and 10 are both of 'i1' and 'i0', one the same and one different",
        ),
        (
            [*PAIRS, ("i2", "i1", False)],
            "x.npz",
            "pair 10, 'i2' and 'i1', is different there, but x.npz labels them '0' and '0'",
        ),
        (
            [*PAIRS, ("i2", "i4", True)],
            "plain.npz --labels y.npy",
            "pair 10, 'i2' and 'i4', is the same there, but y.npy labels them '0' and '1'",
        ),
    ],
)
def test_pairs_that_contradict_are_refused(
    pairs: list[tuple[str, str, bool]],
    source: str,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert judged(pairs, source) == 1
    assert f"p.csv: {said}" in capsys.readouterr().err
