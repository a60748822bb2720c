from __future__ import annotations

import os
import pickle
import struct
import subprocess
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from metricface.data import orl_faces, verification_bin
from metricface.data.records.plain_pickle import StoredArray, read_plain_pickle
from metricface.evaluation import verification
from metricface.recipes import embed
from tests.data.records.writer import encoded

FACES = orl_faces(size=(28, 23))
#: Ten folds of a genuine and an impostor pair each.
ROWS = np.array([[[10 * i, 10 * i + 1], [10 * i, 10 * i + 15]] for i in range(10)]).reshape(-1, 2)
SAME = [True, False] * 10
IMAGES = [encoded(FACES.images[row]) for row in ROWS.ravel()]


def as_arrays(images: list[bytes]) -> list[np.ndarray[Any, Any]]:
    return [np.frombuffer(image, np.uint8) for image in images]


def by_python_2(images: list[bytes], same: list[bool]) -> bytes:
    """Protocol 2, where strings are bytes, as Python 2's cPickle writes it."""
    parts = [b"\x80\x02](", b"]("]
    for image in images:
        parts.append(b"T" + struct.pack("<i", len(image)) + image)
    parts += [b"e](", b"".join(b"\x88" if each else b"\x89" for each in same), b"ee."]
    return b"".join(parts)


FORMS: dict[str, bytes] = {
    **{f"bytes, protocol {n}": pickle.dumps((IMAGES, SAME), n) for n in range(6)},
    **{f"arrays, protocol {n}": pickle.dumps((as_arrays(IMAGES), SAME), n) for n in range(2, 6)},
    "flags as an array": pickle.dumps((IMAGES, np.array(SAME))),
    "flags of NumPy": pickle.dumps((IMAGES, [np.bool_(each) for each in SAME])),
    "lists in a list": pickle.dumps([IMAGES, [int(each) for each in SAME]]),
    "Python 2": by_python_2(IMAGES, SAME),
    "NumPy 1": pickle.dumps((as_arrays(IMAGES), SAME), 2).replace(b"numpy._core", b"numpy.core"),
}


@pytest.mark.parametrize("form", FORMS)
def test_images_and_pairs_are_those_written(tmp_path: Path, form: str) -> None:
    (tmp_path / "lfw.bin").write_bytes(FORMS[form])
    found = verification_bin(tmp_path / "lfw.bin", colour=False)
    assert found.same.tolist() == SAME
    assert found.pairs.tolist() == [[2 * i, 2 * i + 1] for i in range(20)]
    assert np.array_equal(found.images.load().images, FACES.images[ROWS.ravel()])


def test_the_figures_are_those_of_the_pairs(tmp_path: Path) -> None:
    (tmp_path / "lfw.bin").write_bytes(FORMS["bytes, protocol 4"])
    found = verification_bin(tmp_path / "lfw.bin", transform=torch.flatten)
    embeddings = embed(torch.nn.Identity(), found.images)
    figures = verification(embeddings, pairs=found.pairs, same=found.same, fars=(0.1,))
    plain = torch.from_numpy(FACES.images).flatten(1).float()
    expected = verification(plain, pairs=ROWS, same=np.array(SAME), fars=(0.1,))
    assert figures.accuracy == pytest.approx(expected.accuracy)
    assert figures.auc == pytest.approx(expected.auc)


def test_workers_and_colour(tmp_path: Path) -> None:
    (tmp_path / "lfw.bin").write_bytes(FORMS["bytes, protocol 4"])
    images = verification_bin(tmp_path / "lfw.bin").images
    batches = [x for x, _ in DataLoader(images, batch_size=15, num_workers=1)]
    assert batches[0].shape == (15, 3, 28, 23)
    every = torch.stack([images[i][0] for i in range(len(images))])
    assert torch.equal(torch.cat(batches), every)


class Attack:
    """Runs something as soon as it is unpickled by a plain unpickler."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.called = function, arguments

    def __reduce__(self) -> Any:
        return self.called


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda mark: Attack(os.system, f"touch {mark}"), "posix.system"),
        (lambda mark: Attack(subprocess.check_call, ["touch", str(mark)]), r"\.check_call"),
        (lambda mark: Attack(eval, f"open({str(mark)!r}, 'w')"), r"builtin(s|__)\.eval"),
        (lambda mark: Attack(getattr, "a", "upper"), r"builtin(s|__)\.getattr"),
        (lambda mark: OrderedDict(a=1), "collections.OrderedDict"),
        (lambda mark: mark, "pathlib"),
        (lambda mark: partial(print, 1), "functools.partial"),
        (lambda mark: np.array([mark], dtype=object), "pathlib|array of 'O8'"),
        (lambda mark: torch.zeros(1), "torch"),
    ],
    ids=["system", "subprocess", "eval", "getattr", "dict", "path", "partial", "objects", "tensor"],
)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_nothing_is_executed(tmp_path: Path, make: Any, named: str, protocol: int) -> None:
    mark = tmp_path / "mark"
    (tmp_path / "evil.bin").write_bytes(pickle.dumps(([make(mark)] * 2, [True]), protocol))
    with pytest.raises(ValueError, match=f"(?s)evil.bin .*({named})"):
        verification_bin(tmp_path / "evil.bin")
    assert not mark.exists()


def assembled(*parts: bytes) -> bytes:
    return b"\x80\x02" + b"".join(parts) + b"."


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"hello", "is no whole pickle"),
        (FORMS["bytes, protocol 4"][:-500], "is no whole pickle"),
        (FORMS["arrays, protocol 2"][:900], "is no whole pickle"),
        (assembled(b"Nr\xff\xff\xff\x7f"), "wants room for 2147483647 values"),
        (b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b"x.", "is no whole pickle"),
        (assembled(b"cnumpy\ndtype\n}b"), "changes what it is read with"),
        (assembled(b"cnumpy\nndarray\n)R"), "makes an array in a way that is not read"),
        (assembled(b"cnumpy\ndtype\n(U\x02O8tR"), "holds an array of 'O8'"),
        (assembled(b"Uxid0\nQ"), "is no whole pickle|outside of it"),
        (pickle.dumps(7), "is no verification set"),
        (pickle.dumps((IMAGES[:3], [True])), "holds 3 images but 1 pairs"),
        (pickle.dumps((IMAGES[:2], [])), "must tell of each pair whether it is of one identity"),
        (pickle.dumps((IMAGES[:2], ["yes"])), "whether it is of one identity, got b?'yes'"),
        (pickle.dumps((["a.png", "b.png"], [True])), "image 0 is no encoded image, but str"),
        (pickle.dumps((np.zeros((2, 4)), [True])), "image 0 is no encoded image"),
        (pickle.dumps(([IMAGES[0], b""], [True])), "image 1 is no encoded image, but bytes"),
    ],
)
def test_what_is_damaged_or_foreign_is_a_sentence(
    tmp_path: Path, data: bytes, message: str
) -> None:
    (tmp_path / "some.bin").write_bytes(data)
    with pytest.raises(ValueError, match=f"some.bin.*({message})") as error:
        verification_bin(tmp_path / "some.bin")
    assert len(str(error.value)) < 400


def test_a_stand_in_cannot_be_changed_by_what_is_read(tmp_path: Path) -> None:
    """A file that tries leaves the next one readable."""
    (tmp_path / "evil.bin").write_bytes(assembled(b"cnumpy.core.multiarray\n_reconstruct\n}b"))
    with pytest.raises(ValueError, match="changes what it is read with"):
        verification_bin(tmp_path / "evil.bin")
    test_images_and_pairs_are_those_written(tmp_path, "arrays, protocol 4")


def test_an_image_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "lfw.bin").write_bytes(pickle.dumps(([IMAGES[0], b"no image"], [True])))
    images = verification_bin(tmp_path / "lfw.bin").images
    with pytest.raises(ValueError, match=r"lfw.bin: image 1 is no readable image"):
        images[1]


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_arrays_of_any_numbers_are_those_written(tmp_path: Path, protocol: int) -> None:
    for kind in ("<i2", ">i4", "<f8", "|u1", "?"):
        for order in ("C", "F"):
            array = np.asarray(np.arange(12).reshape(3, 4) % 2, dtype=kind)
            array = np.asfortranarray(array) if order == "F" else array
            (tmp_path / "some.bin").write_bytes(pickle.dumps([array], protocol))
            (found,) = read_plain_pickle(tmp_path / "some.bin")
            assert isinstance(found, StoredArray)
            assert found.value.dtype == array.dtype
            assert np.array_equal(found.value, array)
