"""The examples of the documentation give what they say."""

from __future__ import annotations

import doctest
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.records.writer import encoded, write_insightface

PAGE = Path(__file__).parents[2] / "docs" / "data.md"

#: What the page calls points.
FIVE = [[80, 80], [120, 80], [100, 100], [85, 125], [115, 125]]
POINTS = dict.fromkeys(("1.jpg", "2.jpg", "3.jpg"), FIVE)


@pytest.fixture
def in_a_folder_with_people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = ["path,label"]
    for name in ("anna", "ben", "cem", "dora"):
        (tmp_path / "people" / name).mkdir(parents=True)
        for i in range(3):
            file = Path("people", name, f"{i}.jpg")
            Image.fromarray(np.full((125, 94), 60 * i, np.uint8)).save(file)
            lines.append(f"{file.as_posix()},{name}")
    Path("people.csv").write_text("\n".join(lines))
    Path("photographs").mkdir()
    for name in POINTS:
        Image.new("L", (200, 200)).save(Path("photographs", name))
    Path("photographs", "broken.jpg").touch()
    some = [encoded(np.random.default_rng(i).integers(0, 255, (9, 9), np.uint8)) for i in range(12)]
    Path("faces_emore").mkdir()
    write_insightface(Path("faces_emore"), some, np.repeat(range(4), 3).tolist())
    alike = [[some[0], some[0]], [some[1], some[2]]] * 10
    same = [True, False] * 10
    Path("lfw.bin").write_bytes(pickle.dumps(([each for pair in alike for each in pair], same)))


@pytest.mark.usefixtures("in_a_folder_with_people")
@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
def test_the_examples_run() -> None:
    blocks = re.findall(r"```python\n(>>> .*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    known = {"points": POINTS}
    text = "\n".join(blocks)
    examples = doctest.DocTestParser().get_doctest(text, known, PAGE.name, str(PAGE), 0)
    result = doctest.DocTestRunner(verbose=False).run(examples)
    assert result.attempted > 25
    assert result.failed == 0
