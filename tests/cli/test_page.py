"""The page of ``evaluate --html``: all it promises, in one file, whatever the names are."""

from __future__ import annotations

import base64
import io
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from metricface.cli import main
from metricface.cli.glimpses import glimpses
from metricface.cli.listed import ListedPairs
from metricface.cli.tables import Table
from metricface.distances import SquaredEuclidean
from metricface.evaluation import class_distances, hardest_pairs, verification

EVIL = '<script>alert("1")</script> $body & co'
OF = np.repeat(np.arange(6), 4)
LABELS = np.array([EVIL, "b", "c", "d", "e", "f"])[OF]
X = np.random.default_rng(0).normal(size=(6, 5))[OF] + np.random.default_rng(1).normal(size=(24, 5))
NAMES = [f"p{of}/{i}.png" for i, of in enumerate(OF)]
COMMAND = ["evaluate", "x.npz", "--html", "page.html", "--far", "0.1", "--folds", "3"]


class Elements(HTMLParser):
    """What stands in a page: the tags with their attributes, and the words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    np.savez("x.npz", embeddings=X, labels=LABELS, names=np.array(NAMES))
    return tmp_path


@pytest.fixture
def images(folder: Path) -> Path:
    """A picture a sample, whose shade is the number of its row."""
    for row, name in enumerate(NAMES):
        file = folder / "crops" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L" if row % 2 else "RGB", (20, 240), row if row % 2 else (row,) * 3).save(file)
    return folder / "crops"


def _written(*options: str) -> Elements:
    assert main([*COMMAND, *options]) == 0
    return Elements(Path("page.html").read_text(encoding="utf-8"))


def _rows_shown(page: Elements) -> list[int]:
    """The rows whose pictures stand in a page, by their shades."""
    shades = []
    for attributes in page.of("img"):
        kind, data = str(attributes["src"]).split(",")
        assert kind == "data:image/png;base64"
        with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
            assert max(picture.size) <= 112
            shades.append(int(np.asarray(picture).flat[0]))
    return shades


def test_without_images_the_page_says_the_figures_and_names_the_pairs(folder: Path) -> None:
    page = _written()
    found, hardest = verification(X, LABELS, folds=3, fars=(0.1,)), hardest_pairs(X, LABELS)
    for part in (
        "24 embeddings of 5 dimensions of 6 identities",
        "all pairs by their squared distance",
        f"{found.genuine_pairs} of one identity and {found.impostor_pairs} of two",
        f"{100 * found.accuracy:.2f} % ± {100 * found.sem:.2f} %",
        f"TAR at FAR 0.1 {100 * found.tar[0.1]:.2f} %",
        f"{100 * found.eer:.2f} %",
        f"{found.auc:.4f}",
        "Recall@1",
        "mAP",
        f"down to a single one of the {found.impostor_pairs} impostor pairs: "
        f"{1 / found.impostor_pairs:.2g}",
    ):
        assert part in page.text, part
    for pair, distance in (
        (hardest.impostors[0], hardest.impostor_distances[0]),
        (hardest.genuine[0], hardest.genuine_distances[0]),
    ):
        first, second = (f"{LABELS[row]}: {NAMES[row]}" for row in pair)
        assert f"{distance:.3f} {first} {second}" in page.text
    assert not page.of("img")
    said = [svg["aria-label"] for svg in page.of("svg")]
    assert said == ["ROC", "Histogram of distances"]
    for words in ("false accept rate", "same identity", "different identities", "threshold"):
        assert words in page.text


def test_the_page_is_one_file_and_what_users_wrote_is_text(folder: Path) -> None:
    page = _written()
    assert not {"script", "link", "iframe"} & {name for name, _ in page.tags}
    assert EVIL in page.text
    text = Path("page.html").read_text(encoding="utf-8")
    assert not re.search(r"(src|href)=\"(?!data:|#)", text)
    assert "url(http" not in text
    assert text.count("prefers-color-scheme: dark") == 1
    assert "#0072b2" not in text.partition("</style>")[2].lower(), "colours are the page's"
    assert sorted(file.name for file in folder.iterdir()) == ["page.html", "x.npz"]
    assert main(COMMAND) == 0
    assert Path("page.html").read_text(encoding="utf-8") == text, "the same again"


def test_images_stand_with_their_pairs_and_identities(images: Path) -> None:
    page = _written("--images", "crops")
    hardest = hardest_pairs(X, LABELS, count=12, per_pair=1)
    pairs = [*hardest.impostors.ravel().tolist(), *hardest.genuine.ravel().tolist()]
    shown = _rows_shown(page)
    assert shown[: len(pairs)] == pairs
    order = list(dict.fromkeys(OF[pairs].tolist()))
    sheet = [row for of in order for row in np.flatnonzero(of == OF).tolist()]
    assert shown[len(pairs) :] == sheet
    said = [str(attributes["alt"]) for attributes in page.of("img")]
    assert said == [f"{LABELS[row]}: {NAMES[row]}" for row in shown]


def test_a_list_of_pairs_needs_no_labels(images: Path) -> None:
    np.savez("x.npz", embeddings=X, names=np.array(NAMES))
    pairs = [(i, i + step) for i in range(20) for step in (1, 4)]
    same = [bool(OF[i] == OF[j]) for i, j in pairs]
    lines = [f"{NAMES[i]},{NAMES[j]},{int(s)}" for (i, j), s in zip(pairs, same, strict=True)]
    Path("pairs.csv").write_text("first,second,same\n" + "\n".join(lines))
    page = _written("--images", "crops", "--pairs", "pairs.csv")
    assert "pairs of pairs.csv" in page.text
    measure = SquaredEuclidean()
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    values = np.array([((unit[i] - unit[j]) ** 2).sum() for i, j in pairs])
    impostors = [pairs[n] for n in np.argsort(values) if not same[n]][:12]
    assert _rows_shown(page)[:24] == [row for pair in impostors for row in pair]
    assert "Identities" not in page.text
    everything = np.array([(i, j) for i in range(24) for j in range(i + 1, 24)])
    listed = ListedPairs(everything, OF[everything[:, 0]] == OF[everything[:, 1]])
    of_list = glimpses(Table(X, np.array([]), None), listed, measure).distances
    of_set = class_distances(X, LABELS, bins=len(of_list.intra), upper=float(of_list.edges[-1]))
    for name in ("intra_mean", "inter_std", "d_prime"):
        assert getattr(of_list, name) == pytest.approx(getattr(of_set, name))
    assert (of_list.intra.sum(), of_list.inter.sum()) == (36, 240)


def test_a_broken_image_does_not_cost_the_work(
    images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = int(hardest_pairs(X, LABELS).impostors[0, 0])
    (images / NAMES[broken]).write_bytes(b"no image")
    page = _written("--images", "crops")
    assert f"no image of {LABELS[broken]}: {NAMES[broken]}" in page.text
    assert broken not in _rows_shown(page)
    warned = [line for line in capsys.readouterr().err.splitlines() if NAMES[broken] in line]
    assert len(warned) == 1
    assert warned[0].startswith("metricface: warning: left out of the page: ")


def test_the_crops_of_photographs_are_found(images: Path) -> None:
    photographs = [name.replace(".png", ".jpg") for name in NAMES]
    np.savez("x.npz", embeddings=X, labels=LABELS, names=np.array(photographs))
    assert _rows_shown(_written("--images", "crops"))


def test_what_cannot_be_shown_is_one_sentence_and_leaves_the_old_page(
    images: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("page.html").write_text("old")

    def said(*options: str, code: int = 1) -> str:
        capsys.readouterr()
        assert main([*COMMAND, *options]) == code
        assert Path("page.html").read_text() == "old"
        return " ".join(capsys.readouterr().err.replace("│", " ").split())

    assert "--images must be a folder" in said("--images", "nowhere")
    (images / NAMES[5]).unlink()
    told = said("--images", "crops")
    assert f"no image for 1 of 24 names of x.npz, the first is '{NAMES[5]}'" in told
    np.savez("x.npz", embeddings=X, labels=LABELS, names=np.array(["../a.png", *NAMES[1:]]))
    assert "'../a.png', which leads out of crops" in said("--images", "crops")
    np.savez("x.npz", embeddings=X, labels=LABELS)
    assert "x.npz holds no names" in said("--images", "crops")
    assert main(["evaluate", "x.npz", "--images", "crops"]) == 2
    assert "--images goes with --html" in " ".join(capsys.readouterr().err.split())
    search = ["evaluate", "--query", "x.npz", "--gallery", "x.npz", "--html", "page.html"]
    assert main(search) == 2
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert "page.html needs matplotlib: pip install" in said()
