"""The program on a few ORL photographs whose landmarks are known: from end to end."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.faces.__main__ import main
from benchmarks.faces.networks import make_network
from benchmarks.faces.sources import Alignment, listed_trial
from metricface.data import image_folder, orl_faces
from metricface.recipes import embed

PEOPLE, PICTURES, BORDER = 8, 4, 30
POINTS = ((28.0, 48.0), (64.0, 48.0), (46.0, 68.0), (31.0, 88.0), (61.0, 88.0))
"""About where the ORL faces have them; all that matters here is that they are followed."""


@dataclass
class Ran:
    """What a run was given and left."""

    out: Path
    command: list[str]

    def figures(self, *more: str) -> dict[str, Any]:
        """Give the command again, with other options after its own."""
        main([*self.command, *more])
        found: dict[str, Any] = json.loads((self.out / "figures.json").read_text())
        return found


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """32 photographs and a broken one, aligned by given points, trained for four steps."""
    home = tmp_path_factory.mktemp("faces")
    faces = orl_faces()
    lines = ["path," + ",".join(f"{axis}{n}" for n in range(1, 6) for axis in "xy")]
    for person in range(PEOPLE):
        for picture in range(PICTURES):
            path = f"p{person}/p{person}_{picture + 1:04d}.png"
            (home / "photographs" / path).parent.mkdir(parents=True, exist_ok=True)
            wide = np.pad(faces.images[10 * person + picture], BORDER, mode="edge")
            Image.fromarray(wide).save(home / "photographs" / path)
            numbers = [str(value + BORDER) for point in POINTS for value in point]
            lines.append(",".join([path, *numbers]))
    (home / "photographs" / "nobody").mkdir()
    (home / "photographs" / "nobody" / "broken.jpg").write_bytes(b"no picture")
    (home / "points.csv").write_text("\n".join(lines))
    command = [str(home / "photographs"), "--align", str(home / "points.csv")]
    command += ["--size", "32x32", "--dim", "8", "--batch", "4x3", "--unseen", "0.25"]
    command += ["--steps", "2", "--triplet-steps", "2", "--out", str(home / "run")]
    main(command)
    return Ran(home / "run", command)


def test_photographs_become_crops_figures_and_a_page(ran: Ran) -> None:
    figures = json.loads((ran.out / "figures.json").read_text())
    assert figures["protocol"] == "all pairs of 2 people who were not trained on"
    assert figures["genuine_pairs"] == 2 * PICTURES * (PICTURES - 1) // 2
    assert figures["impostor_pairs"] == PICTURES**2
    assert len(list((ran.out / "crops").rglob("*.png"))) == PEOPLE * PICTURES
    assert "nobody/broken.jpg" in (ran.out / "crops" / "faces.csv").read_text()
    text = (ran.out / "page.html").read_text()
    assert f"at most {figures['threshold']:.3f}" in text
    assert text.count("data:image/png;base64,") == 3
    assert "http" not in text


def test_the_weights_it_leaves_are_those_of_the_named_network(ran: Ran) -> None:
    network = make_network("ir-tiny", 8, (32, 32))
    network.load_state_dict(torch.load(ran.out / "network.pt", weights_only=True))
    crops = image_folder(ran.out / "crops", size=(32, 32), colour=True)
    assert embed(network, crops.subset([0, 1])).shape == (2, 8)


def test_other_ways_to_compare_change_the_figures_and_train_nothing_anew(ran: Ran) -> None:
    before = torch.load(ran.out / "network.pt")
    plain = ran.figures()
    found = [ran.figures(*way) for way in (["--flip"], ["--flip", "--two-crops"])]
    thresholds = {each["threshold"] for each in (plain, *found)}
    assert len(thresholds) == 3
    torch.testing.assert_close(torch.load(ran.out / "network.pt"), before, rtol=0, atol=0)


def test_another_training_in_the_same_folder_is_refused_by_name(ran: Ran) -> None:
    with pytest.raises(SystemExit, match=r"options\.ema was None, is 0\.9"):
        main([*ran.command, "--ema", "0.9"])
    with pytest.raises(SystemExit, match="--pairs needs --test-images"):
        main([*ran.command, "--pairs", "pairs.txt"])


def test_a_benchmarks_list_is_judged_by_its_own_pairs(ran: Ran, tmp_path: Path) -> None:
    same = "".join(f"p{n}\t1\t{n % 3 + 2}\n" for n in range(4))
    other = "".join(f"p{n}\t1\tp{n + 1}\t2\n" for n in range(4))
    half = "".join((same + other).splitlines(keepends=True)[i] for i in (0, 1, 4, 5))
    rest = "".join((same + other).splitlines(keepends=True)[i] for i in (2, 3, 6, 7))
    (tmp_path / "pairs.txt").write_text(f"2\t2\n{half}{rest}")
    more = ["--pairs", str(tmp_path / "pairs.txt"), "--test-images", ran.command[0]]
    more += ["--out", str(tmp_path / "run")]
    main([*ran.command, *more])
    figures = json.loads((tmp_path / "run" / "figures.json").read_text())
    assert figures["protocol"] == "the pairs of pairs.txt"
    assert (figures["genuine_pairs"], figures["impostor_pairs"]) == (4, 4)


def test_a_csv_of_pairs_names_its_images_as_they_were_photographed(
    ran: Ran, tmp_path: Path
) -> None:
    rows = [f"p1/p1_000{n}.jpg,p{2 - n % 2}/p{2 - n % 2}_0004.jpg,{n % 2}" for n in (1, 2)]
    (tmp_path / "pairs.csv").write_text("\n".join(["first,second,same", *rows]))
    trial = listed_trial(tmp_path / "pairs.csv", ran.out / "crops", (16, 16), None, tmp_path)
    assert trial.pairs is not None
    named = [[trial.images.paths[row].name for row in pair] for pair in trial.pairs.tolist()]
    assert named == [["p1_0001.png", "p1_0004.png"], ["p1_0002.png", "p2_0004.png"]]


def test_no_crop_at_all_is_an_error_that_says_where_to_look(ran: Ran, tmp_path: Path) -> None:
    header = Path(ran.command[2]).read_text().splitlines()[0]
    (tmp_path / "points.csv").write_text(f"{header}\nnobody/broken.jpg{',1' * 10}\n")
    how = Alignment(str(tmp_path / "points.csv"), "arcface")
    with pytest.raises(ValueError, match="gave a crop"):
        how.crops_of(Path(ran.command[0]), tmp_path / "crops")
