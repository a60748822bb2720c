"""What every reader of a list does with files of any system, and with files that are no list."""

from __future__ import annotations

import gzip
import pickle
import re
from pathlib import Path

import pytest

from metricface.evaluation.protocols.lines import LONGEST
from tests.evaluation.protocols.lists import LISTS, List

EVERY = pytest.mark.parametrize("listed", LISTS, ids=lambda listed: listed.name)
PAGE = b"<!DOCTYPE html>\n<html><head><title>Log in</title></head>\n</html>\n"


def _shown(value: object) -> str:
    """Everything a result holds, arrays included."""
    fields = vars(value).items()
    return repr([(name, _shown(v) if hasattr(v, "__dict__") else v) for name, v in fields])


@EVERY
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["", "mark"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["unix", "windows"])
@pytest.mark.parametrize("last", [True, False], ids=["", "no last end"])
def test_any_system_may_have_written_it(
    listed: List, mark: bytes, end: bytes, last: bool, tmp_path: Path
) -> None:
    expected = _shown(listed.read(listed.write(tmp_path)))
    data = mark + listed.text.encode().replace(b"\n", end)
    found = listed.read(listed.write(tmp_path, data if last else data.removesuffix(end)))
    assert _shown(found) == expected


@EVERY
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n \n",
        b"\xef\xbb\xbf",
        PAGE,
        gzip.compress(b"1 2 3\n"),
        pickle.dumps({"path": print}),
        "1 2 1\n".encode("utf-16"),
        bytes(range(256)) * 10,
        b"7" * 200_000,
        b"\0" * 200_000,
        b'"' + b"a\n" * 200_000,
        b"[" * 200_000,
        b'{"path": ' + b"[" * 60_000,
    ],
    ids=[
        *("empty", "blank", "mark", "page", "gzip", "pickle", "utf-16", "bytes", "digits"),
        *("zeros", "open quote", "brackets", "nested"),
    ],
)
def test_what_is_no_such_list_is_a_sentence(listed: List, data: bytes, tmp_path: Path) -> None:
    file = listed.write(tmp_path, data)
    with pytest.raises(ValueError, match=re.escape(str(file))) as raised:
        listed.read(file)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < len(str(file)) + 200


@EVERY
def test_a_foreign_file_of_any_size_is_hardly_read(listed: List, tmp_path: Path) -> None:
    file = listed.write(tmp_path, b"")
    with file.open("r+b") as stream:
        stream.truncate(1 << 40)  # a terabyte of zeros that takes no room on the disk
    with pytest.raises(ValueError, match=re.escape(str(file))):
        listed.read(file)


@EVERY
def test_what_cannot_be_read_is_the_systems_error(listed: List, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        listed.read(tmp_path / "missing")
    with pytest.raises(OSError, match="directory"):
        listed.read(tmp_path)


def test_a_long_line_is_not_shown_whole(tmp_path: Path) -> None:
    (faces,) = (listed for listed in LISTS if "tid_mid" in listed.name)
    with pytest.raises(ValueError, match="line 1: expected 'image template medium', got 'aaa") as e:
        faces.read(faces.write(tmp_path, b"a" * LONGEST))
    assert len(str(e.value)) < 300
