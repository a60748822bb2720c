"""Files that are whole or as they were, and folders that one run uses at a time."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from metricface import files
from metricface.files import clear_leftovers, used_alone, write_whole

ROOT = Path(__file__).parent.parent
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and signals")


def writing(text: str) -> Callable[[Path], object]:
    return lambda part: part.write_text(text, encoding="utf-8")


class TestWriteWhole:
    def test_the_content_is_there_and_nothing_else(self, tmp_path: Path) -> None:
        file = tmp_path / "table.csv"
        for text in ("one", "two"):
            write_whole(file, writing(text))
            assert file.read_text() == text
        assert os.listdir(tmp_path) == ["table.csv"]

    def test_what_fails_leaves_what_was_there(self, tmp_path: Path) -> None:
        file, kept = tmp_path / "table.csv", tmp_path / "before.csv"
        write_whole(file, writing("one"))

        def fails(part: Path) -> None:
            part.write_text("ha")
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            write_whole(file, fails, kept_as=kept)
        assert (os.listdir(tmp_path), file.read_text()) == (["table.csv"], "one")

    def test_two_writers_do_not_meet(self, tmp_path: Path) -> None:
        """One begins while the other is in the midst of it."""
        file = tmp_path / "table.csv"

        def slow(part: Path) -> None:
            part.write_text("the slow one's, of")
            write_whole(file, writing("the quick one's"))
            with part.open("a") as stream:
                stream.write(" one piece")

        write_whole(file, slow)
        assert file.read_text() == "the slow one's, of one piece"

    def test_it_may_be_read_by_whoever_may_read_other_files(self, tmp_path: Path) -> None:
        (tmp_path / "plain").write_text("")
        write_whole(tmp_path / "whole", writing(""))
        modes = {stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
        assert len(modes) == 1

    @posix
    def test_it_may_be_read_by_whoever_might_before(self, tmp_path: Path) -> None:
        file = tmp_path / "table.csv"
        for mode in (0o600, 0o664):
            file.touch()
            file.chmod(mode)
            write_whole(file, writing("new"))
            assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == ("new", mode)

    @pytest.mark.parametrize("links", [True, False])
    def test_what_was_there_is_kept(
        self, links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def no_links(*_: object) -> None:
            raise OSError("no links on this file system")

        if not links:
            monkeypatch.setattr(os, "link", no_links)
        file, kept = tmp_path / "it", tmp_path / "it.previous"
        for number in range(4):
            write_whole(file, writing(str(number)), kept_as=kept)
            assert file.read_text() == str(number)
            assert kept.exists() == (number > 0)
            if number:
                assert kept.read_text() == str(number - 1)
            if number == 2:  # a kill between the two renames, where links are
                kept.unlink()
                os.link(file, kept) if links else None
        assert sorted(os.listdir(tmp_path)) == ["it", "it.previous"]


def test_leftovers_are_cleared_and_no_other_files(tmp_path: Path) -> None:
    def killed(part: Path) -> None:
        part.write_text("half")
        os.link(part, f"{part}.kept")  # what a kill would leave

    write_whole(tmp_path / "it.pt", killed)
    (left,) = tmp_path.glob(".*.kept")
    left.rename(str(left).removesuffix(".kept"))
    (tmp_path / ".it.pt.partial").write_text("as versions before called it")
    others = [".other.pt.0123456789abcdef.partial", "it.pt", "it.pt.partial", ".it.pt"]
    for name in others:
        (tmp_path / name).write_text("")
    clear_leftovers(tmp_path, ["it.pt"])
    assert sorted(os.listdir(tmp_path)) == sorted(others)
    clear_leftovers(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(others[1:])
    clear_leftovers(tmp_path / "no such folder")


class TestUsedAlone:
    def test_one_after_the_other(self, tmp_path: Path) -> None:
        for _ in range(2):
            with used_alone(tmp_path / "new" / "folder"):
                pass
        with pytest.raises(KeyError), used_alone(tmp_path):
            raise KeyError
        with used_alone(tmp_path):
            pass

    def test_two_at_once_are_refused_in_one_process_too(self, tmp_path: Path) -> None:
        with used_alone(tmp_path), used_alone(tmp_path / "inner"):
            for _ in range(2):
                with (
                    pytest.raises(BlockingIOError, match="is in use by a run that") as error,
                    used_alone(tmp_path),
                ):
                    pass
                assert str(error.value) == (
                    f"{tmp_path} is in use by a run that has not ended; "
                    "wait for it or give another folder"
                )

    def test_a_folder_that_cannot_be_locked_is_used_with_a_warning(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def no_locks(descriptor: int) -> None:
            raise OSError("no locks available")

        monkeypatch.setattr(files, "_lock", no_locks)
        with (
            pytest.warns(UserWarning, match="cannot be locked .no locks available.: see to it"),
            used_alone(tmp_path) as certain,
        ):
            assert not certain


@contextmanager
def holding(folder: Path, script: str) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """A process that runs the script and has printed pids; none of them survives the test."""
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    pids: list[int] = []
    try:
        if process.stdout is None:
            raise ValueError
        pids = [int(word) for word in process.stdout.readline().split()]
        yield process, pids
    finally:
        process.kill()
        process.wait()
        for pid in pids:
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                continue
        if process.stdout is not None:
            process.stdout.close()


ALONE = """
import sys, time
from pathlib import Path
from metricface.files import used_alone
with used_alone(Path(sys.argv[1])):
    print(flush=True)
    time.sleep(100)
"""

# The way a DataLoader's workers are made, and one that works on while its parent is gone.
WITH_WORKER = """
import sys, time
from pathlib import Path
from torch.utils.data import DataLoader, Dataset
from metricface.files import used_alone

class Sleepy(Dataset):
    def __len__(self):
        return 1
    def __getitem__(self, index):
        time.sleep(100)

with used_alone(Path(sys.argv[1])):
    fetching = iter(DataLoader(Sleepy(), num_workers=1, multiprocessing_context="fork"))
    time.sleep(1)
    print(*(worker.pid for worker in fetching._workers), flush=True)
    time.sleep(100)
"""

WITH_CHILD = ALONE.replace(
    "print(", "import os\n    os.fork() or os._exit(0)\n    os.wait()\n    print("
)


@posix
class TestProcesses:
    def test_a_second_process_is_refused_until_the_first_is_killed(self, tmp_path: Path) -> None:
        with holding(tmp_path, ALONE) as (process, _):
            with pytest.raises(BlockingIOError), used_alone(tmp_path):
                pass
            process.kill()
            process.wait()
            with used_alone(tmp_path):
                pass

    def test_a_worker_that_outlives_its_parent_holds_nothing(self, tmp_path: Path) -> None:
        with holding(tmp_path, WITH_WORKER) as (process, (worker,)):
            with pytest.raises(BlockingIOError), used_alone(tmp_path):
                pass
            process.kill()
            process.wait()
            os.kill(worker, 0)  # it lives
            with used_alone(tmp_path):
                pass

    def test_a_child_of_a_fork_does_not_let_go_for_its_parent(self, tmp_path: Path) -> None:
        with holding(tmp_path, WITH_CHILD), pytest.raises(BlockingIOError), used_alone(tmp_path):
            pass
