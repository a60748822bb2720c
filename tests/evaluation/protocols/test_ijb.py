"""IJB's lists, pooling and pairs against plain loops."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from metricface.evaluation import (
    IjbTemplates,
    TemplatePairs,
    listed_pairs,
    mean_templates,
    read_ijb_faces,
    read_ijb_landmarks,
    read_ijb_matches,
    read_ijb_pairs,
    read_ijb_templates,
    verification,
)
from tests.evaluation.protocols.lists import GALLERY
from tests.evaluation.samples import EXACT
from tests.oracles import evaluation as oracle


def _write(folder: Path, text: str) -> Path:
    file = folder / "list"
    file.write_text(text, encoding="utf-8")
    return file


def test_faces_landmarks_and_templates_are_what_stands_there(tmp_path: Path) -> None:
    faces = read_ijb_faces(_write(tmp_path, "1.jpg 1 69544\na b.jpg\t187955 3720\n"))
    assert faces.names == ("1.jpg", "a b.jpg")
    assert faces.templates.tolist() == [1, 187955]
    assert faces.media is not None
    assert faces.media.tolist() == [69544, 3720]
    marks = read_ijb_landmarks(_write(tmp_path, "1.jpg 1 2 3 4 5 6 7 8 9.5 -10 0.1\n"))
    assert marks.points.tolist() == [[[1, 2], [3, 4], [5, 6], [7, 8], [9.5, -10]]]
    assert marks.scores.tolist() == [0.1]
    gallery = read_ijb_templates(_write(tmp_path, GALLERY))
    assert (gallery.ids.tolist(), gallery.subjects.tolist()) == ([11, 12], [70, 80])
    assert gallery.faces.names == ("img/3.jpg", "frames/9_01.png", "img/4.jpg")
    assert gallery.faces.templates.tolist() == [11, 11, 12]
    assert gallery.faces.media is not None
    assert gallery.faces.media.tolist() == [4, 5, 6]
    assert gallery.rows([12, 5, 11]).tolist() == [2, 0]
    with pytest.raises(ValueError, match="entry 1 needs template 12, which has no embedding"):
        gallery.rows([11])


def test_media_are_named_in_one_of_two_columns_or_in_none(tmp_path: Path) -> None:
    older = GALLERY.replace("FILENAME,SIGHTING_ID", "FILENAME,MEDIA_ID").replace(
        "FACE_X", "SIGHTING_ID"
    )
    media = read_ijb_templates(_write(tmp_path, older)).faces.media
    assert media is not None
    assert media.tolist() == [4, 5, 6]
    without = "TEMPLATE_ID,SUBJECT_ID,FILENAME,FACE_X\n11,70,img/3.jpg,1\n"
    assert read_ijb_templates(_write(tmp_path, without)).faces.media is None


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (read_ijb_faces, "1.jpg 1 2\n2.jpg 3\n", "line 2: expected 'image template medium'"),
        (read_ijb_faces, "1.jpg 1 -2\n", "line 1: expected 'image"),
        (read_ijb_faces, "1 11065 1\n", "line 1: expected 'image"),
        (read_ijb_faces, f"1.jpg 1 {10**18}\n", "line 1: expected 'image"),
        (read_ijb_landmarks, "1.jpg 1 2 3 4 5 6 7 8 9 10\n", "line 1: expected 'image', five"),
        (read_ijb_landmarks, "1.jpg 1 2 3 4 5 6 7 8 9 10 nan\n", "line 1: expected 'image', f"),
        (read_ijb_landmarks, "1.jpg 1 2 3 4 5 6 7 8 9 x 1\n", "line 1: expected 'image', five"),
        (read_ijb_templates, GALLERY.replace("SUBJECT_ID", "S"), "lacks the columns SUBJECT_ID"),
        (read_ijb_templates, GALLERY[:-10], "line 4: expected TEMPLATE_ID, SUBJECT_ID"),
        (read_ijb_templates, GALLERY.replace("12,80", "x,80"), "line 4: TEMPLATE_ID must be a wh"),
        (read_ijb_templates, GALLERY.replace(",6,", ",,"), "line 4: SIGHTING_ID must be a whole"),
        (read_ijb_templates, GALLERY.replace("12,80", "11,80"), "line 4: template 11 is of subj"),
        (read_ijb_templates, GALLERY.splitlines()[0], "lists no faces"),
        (read_ijb_pairs, "1 2 1\n\n1 2\n", "line 3: expected 'template template 0|1', got '1 2'"),
        (read_ijb_pairs, "1 2 1\n1 2 0 1\n", "line 2: expected"),
        (read_ijb_pairs, "1 2 1\n1 2\n3 1 4 1\n", "line 2: expected"),
        (read_ijb_pairs, "1 2\n1 3 4 1\n", "line 1: expected"),
        (read_ijb_pairs, "1 2 2\n", "line 1: expected"),
        (read_ijb_pairs, "1 2 1\n1 -2 0\n", "line 2: expected"),
        (read_ijb_pairs, "1 2 1\n1 2.0 0\n", "line 2: expected"),
        (read_ijb_pairs, "1,2,1\n", "line 1: expected"),
        (read_ijb_pairs, "1 2 1 1 2 1\n", "line 1: expected"),
        (read_ijb_pairs, "1 2 1\n1\r2 0\n", "line 2: expected"),
        (read_ijb_pairs, f"1 2 1\n1 {10**19} 0\n", "line 2: expected"),
        (read_ijb_pairs, "1 2 1\n" * 9 + "1 2", "line 10: expected"),
    ],
)
def test_damage_is_named(
    read: Callable[[Path], object], text: str, message: str, tmp_path: Path
) -> None:
    file = _write(tmp_path, text)
    with pytest.raises(ValueError, match=message.replace("|", r"\|")) as caught:
        read(file)
    assert str(file) in str(caught.value)


def test_numbers_of_any_length_and_spaces_of_any_kind(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    table = 10 ** generator.integers(0, 18, (300, 3)) - generator.integers(0, 2, (300, 3))
    table[:, 2] = generator.integers(0, 2, 300)
    lines = [("  " if row[2] else "") + " \t".join(map(str, row)) for row in table.tolist()]
    found = read_ijb_pairs(_write(tmp_path, "\n\n".join(lines) + " \n\n"))
    assert found.templates.tolist() == table[:, :2].tolist()
    assert found.same.tolist() == (table[:, 2] == 1).tolist()


def test_pairs_find_the_rows_of_their_templates() -> None:
    pairs = TemplatePairs(np.array([[7, 9], [9, 400]]), np.array([True, False]))
    assert pairs.rows([400, 7, 9]).tolist() == [[1, 2], [2, 0]]
    with pytest.raises(ValueError, match="pair 1 needs template 400, which has no embedding"):
        pairs.rows([9, 7, 500])
    with pytest.raises(ValueError, match="3 names hold only 2 different ones"):
        pairs.rows([9, 7, 9])
    with pytest.raises(TypeError, match="numbers of templates, got <U1"):
        pairs.rows(["7", "9"])
    with pytest.raises(ValueError, match="pair 0 needs template 7"):
        pairs.rows([])
    given: Any = pairs
    with pytest.raises(TypeError, match="the method rows of what was read makes them"):
        verification(np.eye(3), pairs=given, same=pairs.same)


def test_matches_are_judged_by_the_lists_of_people(tmp_path: Path) -> None:
    gallery = IjbTemplates(np.array([1, 2]), np.array([70, 80]))
    probes = IjbTemplates(np.array([5, 1]), np.array([80, 70]))
    file = _write(tmp_path, "1,5\n2, 5\n2,1\n")
    found = read_ijb_matches(file, gallery, probes)
    assert found.templates.tolist() == [[1, 5], [2, 5], [2, 1]]
    assert found.same.tolist() == [False, True, False]
    with pytest.raises(ValueError, match="pair 0 needs template 5, which is in none of the"):
        read_ijb_matches(file, gallery)
    with pytest.raises(ValueError, match="give the lists that name the person"):
        read_ijb_matches(file)
    moved = IjbTemplates(np.array([5, 1]), np.array([80, 80]))
    with pytest.raises(ValueError, match="template 1 is of subject 70 in one list and of 80"):
        read_ijb_matches(file, gallery, moved)
    for bad in ("1,5\n2 5\n", "1,5\n2,5,1\n", "1,5\n2,,5\n"):
        with pytest.raises(ValueError, match=r"line 2: expected 'template,template'"):
            read_ijb_matches(_write(tmp_path, bad), gallery, probes)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_templates_are_pooled_as_the_protocol_says(normalize: bool, weighted: bool) -> None:
    generator = np.random.default_rng(1)
    x, templates = generator.normal(size=(60, 5)), generator.integers(0, 6, 60)
    media, scores = generator.integers(0, 4, 60), generator.random(60)
    found = mean_templates(
        x, templates, media=media, weights=scores if weighted else None, normalize=normalize
    )
    unit = found.embeddings / found.embeddings.norm(dim=1, keepdim=True)
    for row, template in enumerate(found.names):
        own = templates == template
        weights = scores[own].tolist() if weighted else [1.0] * int(own.sum())
        expected = oracle.pooled_template(x[own], media[own].tolist(), weights, normalize=normalize)
        np.testing.assert_allclose(unit[row], expected, atol=1e-12)


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ([1.0, -0.5], ValueError, "0 or above and finite, got -0.5 in row 1"),
        ([np.nan, 1.0], ValueError, "0 or above and finite, got nan in row 0"),
        ([1.0], ValueError, r"2 embeddings came with weights of shape \(1,\)"),
        ([True, False], TypeError, "weights must be numbers, got torch.bool"),
        (["a", "b"], TypeError, "weights must be numbers, one for each row"),
        ([None, 1], TypeError, "weights must be numbers, one for each row"),
    ],
)
def test_weights_that_are_none_are_said(weights: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        mean_templates(np.eye(2), [0, 1], weights=weights)


def test_a_list_without_folds_has_tar_at_tiny_far_with_ties() -> None:
    generator = np.random.default_rng(2)
    x = np.sqrt(np.arange(50.0))[:, None]  # squared distance of row 0 to row d is d
    near, far_off = 1 + generator.binomial(48, 0.3, 60), 1 + generator.binomial(48, 0.5, 3_000)
    pairs = [(0, int(d)) for d in [*near, *far_off]]
    same = [True] * len(near) + [False] * len(far_off)  # genuine pairs first: folds would be empty
    exact = [float(np.sqrt(d) ** 2) for _, d in pairs]
    fars = (1 / 3_000, 1e-3, 2e-3, 1e-2, 1e-1)
    found = verification(x, pairs=pairs, same=same, folds=1, fars=fars, distance=EXACT)
    genuine, impostor = exact[: len(near)], exact[len(near) :]
    expected = {far: oracle.tar_of_sorted(genuine, impostor, far) for far in fars}
    assert found.tar == expected
    assert len(set(expected.values())) > 2
    assert (found.genuine_pairs, found.impostor_pairs) == (60, 3_000)
    assert np.isnan([found.accuracy, found.std, found.sem, *found.accuracies]).all()
    assert all(np.isnan(rate.mean) for rate in found.val.values())
    ten = verification(x, pairs=pairs[::-1] * 2, same=same[::-1] * 2, folds=2, distance=EXACT)
    assert len(ten.accuracies) == 2
    assert ten.accuracy == pytest.approx(np.mean(ten.accuracies))
    assert ten.threshold == found.threshold


@pytest.mark.parametrize("kept", [0, 1 << 20])
def test_pairs_are_met_some_at_a_time(kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(4)
    x, first = generator.normal(size=(20, 3)), generator.integers(0, 20, 500)
    pairs = np.stack([first, (first + generator.integers(1, 20, 500)) % 20], axis=1)
    same = generator.random(500) < 0.3
    expected = verification(x, pairs=pairs, same=same, fars=(0.1, 0.01))
    for name, value in (("_AT_ONCE", 10), ("_COUNTED", 7), ("_KEPT", kept)):
        monkeypatch.setattr(listed_pairs, name, value)
    assert verification(x, pairs=pairs, same=same, fars=(0.1, 0.01)) == expected


@pytest.mark.parametrize("dtype", ["uint8", "int32", "uint64"])
def test_rows_may_be_integers_of_any_width(dtype: str) -> None:
    x, pairs = np.eye(6), np.array([(0, 3), (0, 1), (2, 3), (4, 5)])
    same = [True, False] * 2
    found = verification(x, pairs=pairs.astype(dtype), same=same, folds=2, fars=(1.0,))
    assert found == verification(x, pairs=pairs, same=same, folds=2, fars=(1.0,))
