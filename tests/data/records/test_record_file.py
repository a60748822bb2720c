from __future__ import annotations

import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from metricface.data import ImageRecords, identity_split, orl_faces, record_file
from metricface.recipes import embed
from metricface.samplers import PKSampler
from tests.data.records.writer import MAGIC, encoded, packed, record, write, write_insightface

FACES = orl_faces(size=(28, 23))
ROWS = np.arange(60)  # six people
PIXELS, LABELS = FACES.images[ROWS], FACES.labels[ROWS].tolist()


@pytest.fixture(scope="module")
def insightface(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    (folder / "property").write_text("6,28,23\n")
    return write_insightface(folder, [encoded(pixels) for pixels in PIXELS], LABELS)


def test_images_and_labels_are_those_written(insightface: Path) -> None:
    for given in (insightface, str(insightface.with_suffix(".idx")), insightface.parent):
        people = record_file(given)
        assert repr(people) == "ImageRecords(60 image records, 6 identities)"
        assert people.labels.tolist() == LABELS
        assert np.array_equal(people.load().images, PIXELS)


def test_labels_are_known_without_decoding(
    insightface: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metricface.data.images.encoded_images.read_image", None)
    assert record_file(insightface).labels.tolist() == LABELS


def test_the_header_records_are_not_needed(tmp_path: Path) -> None:
    contents = [packed(7 + 2 * (i % 3), encoded(PIXELS[i])) for i in range(9)]
    for index in (True, False):
        people = record_file(write(tmp_path, contents, index=index))
        assert people.names == ("7", "9", "11")
        assert people.labels.tolist() == [0, 1, 2] * 3
        assert np.array_equal(people.load().images, PIXELS[:9])
        (tmp_path / "train.idx").unlink(missing_ok=True)


def test_several_labels_and_an_image_in_parts(tmp_path: Path) -> None:
    """The first label is the identity; a record that holds the magic word is cut there."""
    image = encoded(PIXELS[0])
    comment = image + b"\0" * (-(len(image) + 32) % 4) + MAGIC + b"tail" + MAGIC
    write(tmp_path, [packed([3, 0.5], comment), packed(3.0, encoded(PIXELS[1]))])
    people = record_file(tmp_path)
    assert people.names == ("3",)
    assert people.records[0].read_bytes() == comment
    assert np.array_equal(people.load().images, PIXELS[:2])


def test_colour_is_red_green_blue(tmp_path: Path) -> None:
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 255
    write(tmp_path, [packed(0.0, encoded(red))] * 2)
    assert record_file(tmp_path, colour=True)[0][0][:, 0, 0].tolist() == [1, 0, 0]


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_worker_processes_read_the_same(insightface: Path, context: str) -> None:
    people = record_file(insightface)
    sampler = PKSampler(people.labels, p=3, k=2)
    loader = DataLoader(
        people, batch_sampler=sampler, num_workers=1, multiprocessing_context=context
    )
    batches = list(DataLoader(people, batch_sampler=PKSampler(people.labels, p=3, k=2)))
    for (images, labels), (others, same) in zip(loader, batches, strict=True):
        assert torch.equal(images, others)
        assert torch.equal(labels, same)


def test_a_pickled_set_is_small_and_the_same(insightface: Path) -> None:
    sent = pickle.dumps(record_file(insightface))
    assert len(sent) < 20_000
    back = pickle.loads(sent)
    assert isinstance(back, ImageRecords)
    assert torch.equal(back[5][0], record_file(insightface)[5][0])


def test_splits_transforms_and_embed(insightface: Path) -> None:
    people = record_file(insightface, transform=torch.flatten)
    train, _, test = identity_split(people.labels, (0.5, 0.2, 0.3))
    held = people.subset(test)
    assert not set(held.labels) & set(people.labels[train])
    embeddings = embed(torch.nn.Identity(), held)
    pixels = torch.from_numpy(PIXELS[test]).flatten(1) / 255
    torch.testing.assert_close(embeddings, pixels)


def test_property_is_compared(insightface: Path) -> None:
    (insightface.parent / "property").write_text("7,112,112")
    with pytest.warns(UserWarning, match="tells of 7 identities, but the records are of 6"):
        record_file(insightface)
    (insightface.parent / "property").write_text("6,28,23")


IMAGE = encoded(PIXELS[0])
GOOD = record(packed(0.0, IMAGE)) + record(packed(1.0, IMAGE))


@pytest.mark.parametrize(
    ("data", "index", "message"),
    [
        (b"", None, "train.rec is empty"),
        (GOOD[:-9], None, r"record 1 at byte \d+ is to end at byte \d+, but the file ends at"),
        (GOOD[:-9], f"0\t0\n1\t{len(GOOD) // 2}\n", r"record 1 at byte .* truncated"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 90, None, "record 0 at byte 0 does not begin as records"),
        (GOOD, "hello", "is no index of records"),
        (GOOD, "0\t0\n1", "holds 3 numbers"),
        (GOOD, "", "holds 0 numbers"),
        (GOOD, "0\t0\n0\t0\n", "lists record 0 twice"),
        (GOOD, "0\t0\n1\t99999999999\n", "record 1 at byte 99999999999 cannot be"),
        (GOOD, "0\t0\n1\t2\n", "begin at multiples of 4"),
        (GOOD, "0\t0\n1\t4\n", "record 1 at byte 4 does not begin as records do"),
        (MAGIC + struct.pack("<I", (1 << 29) - 1), None, "is to end at byte 536870919"),
        (record(b"short"), None, "has 5 bytes, too few for a header"),
        (record(packed([1.0, 2.0], b"")[:30]), None, "too few for a header and 2 labels"),
        (record(b"short"), "1\t0\n", "record 1 at byte 0 has 5 bytes, too few for a header"),
        (record(b""), "1\t0\n", "record 1 at byte 0 has 0 bytes, too few for a header"),
        (record(packed(0.5, IMAGE)), None, "has the label 0.5, which is no whole number"),
        (record(packed(-1.0, IMAGE)), None, "label -1.0"),
        (record(packed(float("nan"), IMAGE)), None, "label nan"),
        (record(packed([9.0, 12.0], b"")) + GOOD, None, "record 3 is not in the index"),
        (record(packed([3.0, 2.0], b"")) + GOOD, None, "says that images end at 3 and identities"),
    ],
)
def test_what_is_damaged_or_foreign_is_named(
    tmp_path: Path, data: bytes, index: str | None, message: str
) -> None:
    (tmp_path / "train.rec").write_bytes(data)
    if index is not None:
        (tmp_path / "train.idx").write_text(index)
    with pytest.raises(ValueError, match=message):
        record_file(tmp_path)


def test_an_image_that_is_none_is_named_when_it_is_asked_for(tmp_path: Path) -> None:
    write(tmp_path, [packed(0.0, IMAGE), packed(0.0, b"no image")])
    people = record_file(tmp_path)
    with pytest.raises(ValueError, match=r"train.rec: record 1 at byte \d+ is no readable image"):
        people[1]
    with pytest.warns(UserWarning, match="left out: 1 of 2 files broken"):
        assert len(people.checked(broken="skip")) == 1


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no .*train\.rec: give a \.rec file"):
        record_file(tmp_path)
    write(tmp_path, [packed(0.0, IMAGE)] * 2, index=False)
    with pytest.raises(FileNotFoundError, match=r"there is no .*train\.idx"):
        record_file(tmp_path / "train.idx")
