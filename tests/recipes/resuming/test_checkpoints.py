"""A checkpoint that rots is refused, and costs one interval at most."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from metricface.files import LOCK
from metricface.losses import TripletLoss
from metricface.recipes import Fit
from metricface.recipes.resuming.checkpoints import NAME, PREVIOUS
from metricface.recipes.resuming.sealed import load_sealed, save_sealed
from tests.recipes.toys import KilledError, Noise, differences, quick, train

STEPS = 6  # saved before the first and after every second


def run(folder: Path, **changed: Any) -> Fit:
    return train(TripletLoss(), STEPS, folder=folder, **changed)


def killed(folder: Path) -> None:
    """Saved at 0 and 2 and 4, and dead in the step after."""
    noise = Noise()
    noise.countdown = 4
    with pytest.raises(KilledError):
        run(folder, options=quick(augment=noise))


def resumed(folder: Path) -> Fit:
    return run(folder, options=quick(augment=Noise()))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Fit:
    """The training that nothing happens to."""
    return resumed(tmp_path_factory.mktemp("whole"))


def files(folder: Path) -> dict[str, bytes]:
    """All that is in it, but for the lock."""
    return {name: (folder / name).read_bytes() for name in os.listdir(folder) if name != LOCK}


def refused(folder: Path, name: str = NAME) -> str:
    """The sentence; nothing in the folder has changed."""
    before = files(folder)
    with pytest.raises(ValueError, match="is not a checkpoint that can be read") as error:
        run(folder)
    assert files(folder) == before
    assert str(error.value).startswith(f"{folder / name} is not")
    return str(error.value)


class TestRot:
    @pytest.mark.parametrize("part", range(8))
    def test_a_flipped_bit_is_refused_wherever_it_lies(self, part: int, tmp_path: Path) -> None:
        file = tmp_path / NAME
        save_sealed({"weights": torch.arange(300.0), "step": 3}, file)
        content = file.read_bytes()
        for place in range(part, len(content), 8):
            spoilt = bytearray(content)
            spoilt[place] ^= 1 << place // 8 % 8
            file.write_bytes(spoilt)
            with pytest.raises(ValueError, match=r"other bytes than were written|no digest"):
                load_sealed(file)
        file.write_bytes(content)
        assert load_sealed(file)["step"] == 3

    def test_a_training_does_not_go_on_from_a_flipped_bit(self, tmp_path: Path) -> None:
        killed(tmp_path)
        content = (tmp_path / NAME).read_bytes()
        for n in range(40):
            spoilt = bytearray(content)
            spoilt[(2 * n + 1) * len(content) // 80] ^= 1 << n % 8
            (tmp_path / NAME).write_bytes(spoilt)
            assert "holds other bytes than were written" in refused(tmp_path)

    @pytest.mark.parametrize("zeros", [1 << 16, 1 << 12, 512])
    def test_zeros_in_the_middle_are_refused(self, zeros: int, tmp_path: Path) -> None:
        file = tmp_path / NAME
        save_sealed({"weights": torch.rand(1 << 17)}, file)
        content = bytearray(file.read_bytes())
        middle = len(content) // 2
        content[middle : middle + zeros] = bytes(zeros)
        file.write_bytes(content)
        with pytest.raises(ValueError, match="other bytes than were written"):
            load_sealed(file)

    @pytest.mark.parametrize("more", [b"\0", b"PK", bytes(4096)])
    def test_bytes_too_many_are_refused(self, more: bytes, tmp_path: Path) -> None:
        killed(tmp_path)
        with (tmp_path / NAME).open("ab") as stream:
            stream.write(more)
        refused(tmp_path)

    def test_a_checkpoint_without_a_digest_is_refused(self, tmp_path: Path) -> None:
        """As the versions before wrote it: whether it rotted, nobody can tell."""
        torch.save({"settings": {}, "training": {}, "history": {}}, tmp_path / NAME)
        assert "it ends with no digest: cut short, or of a version before" in refused(tmp_path)

    def test_torch_and_zip_tools_still_read_it(self, tmp_path: Path) -> None:
        file = tmp_path / NAME
        save_sealed({"weights": torch.arange(5)}, file)
        assert torch.load(file, weights_only=True)["weights"].tolist() == [0, 1, 2, 3, 4]
        assert torch.load(file, weights_only=True, mmap=True)["weights"].tolist()[4] == 4
        with zipfile.ZipFile(file) as archive:
            assert archive.testzip() is None
            assert archive.comment.startswith(b"sha256 ")


class TestPrevious:
    def test_the_one_before_is_kept(self, tmp_path: Path) -> None:
        killed(tmp_path)
        steps = [load_sealed(tmp_path / n)["training"]["step"] for n in (PREVIOUS, NAME)]
        assert steps == [2, 4]

    def test_the_refusal_says_how_to_go_on_from_it(self, tmp_path: Path, whole: Fit) -> None:
        killed(tmp_path)
        with (tmp_path / NAME).open("r+b") as stream:
            stream.truncate(500)
        sentence = refused(tmp_path)
        assert sentence.endswith(f"; move it away to go on from {PREVIOUS}, one evaluation earlier")
        os.replace(tmp_path / NAME, tmp_path / "moved away")
        done = resumed(tmp_path)
        assert differences(done.model.state_dict(), whole.model.state_dict()) == []
        assert differences(done.history, whole.history) == []

    def test_a_broken_one_before_is_refused_too(self, tmp_path: Path) -> None:
        killed(tmp_path)
        (tmp_path / NAME).unlink()
        (tmp_path / PREVIOUS).write_bytes(b"")
        assert refused(tmp_path, PREVIOUS).endswith("; move it away to begin anew")

    def test_one_that_lies_about_is_not_asked_while_the_newer_is_whole(
        self, tmp_path: Path, whole: Fit
    ) -> None:
        killed(tmp_path)
        (tmp_path / PREVIOUS).write_bytes(b"")
        assert differences(resumed(tmp_path).history, whole.history) == []

    def test_a_look_meanwhile_always_finds_a_whole_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        replace, looks = os.replace, 0

        def looked(source: Any, target: Any) -> None:
            nonlocal looks
            if (tmp_path / PREVIOUS).exists():
                looks += 1
                load_sealed(tmp_path / NAME)
            replace(source, target)

        monkeypatch.setattr(os, "replace", looked)
        run(tmp_path)
        assert looks == 5


def without_step(state: dict[str, Any]) -> None:
    del state["training"]["step"]


def without_history(state: dict[str, Any]) -> None:
    del state["history"]


def without_rows(state: dict[str, Any]) -> None:
    del state["history"]["rows"]


def without_optimizer(state: dict[str, Any]) -> None:
    del state["training"]["optimizer"]


def of_another_model(state: dict[str, Any]) -> None:
    state["training"]["model"]["1.weight"] = torch.zeros(3, 3)


def of_another_optimizer(state: dict[str, Any]) -> None:
    (group,) = state["training"]["optimizer"]["param_groups"]
    group |= {"momentum": 0.9, "nesterov": False}


def of_fewer_groups(state: dict[str, Any]) -> None:
    state["training"]["optimizer"]["param_groups"] = []


def of_another_generator(state: dict[str, Any]) -> None:
    state["training"]["random"]["torch"] = torch.zeros(3, dtype=torch.uint8)


def of_another_sampler(state: dict[str, Any]) -> None:
    state["training"]["batches"]["sampler"] = {"place": 1}


def a_list(state: dict[str, Any]) -> None:
    state["training"] = [1, 2]


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (without_step, "training.step is missing"),
        (without_history, "history is missing"),
        (without_rows, "history does not fit: rows is missing"),
        (without_optimizer, "training.optimizer is missing"),
        (of_another_model, "training.model does not fit: .*size mismatch for 1.weight"),
        (of_another_optimizer, "training.optimizer does not fit: .*Adam has no momentum, nesterov"),
        (of_fewer_groups, "training.optimizer does not fit: .*different number of parameter"),
        (of_another_generator, "training.random does not fit: "),
        (of_another_sampler, "training.batches does not fit: "),
        (a_list, "training does not fit: it is a list, not a dict"),
    ],
)
def test_a_part_that_is_missing_or_does_not_fit_is_named(
    change: Callable[[dict[str, Any]], None], part: str, tmp_path: Path
) -> None:
    killed(tmp_path)
    state = load_sealed(tmp_path / NAME)
    change(state)
    save_sealed(state, tmp_path / NAME)
    before = (tmp_path / NAME).read_bytes()
    with pytest.raises(ValueError, match=part) as error:
        resumed(tmp_path)
    assert str(error.value).startswith(f"{tmp_path / NAME} is ")
    # what was read, and belongs to other parts, is not called unreadable
    unread = change in (without_history, a_list)
    assert ("is not a checkpoint that can be read (" in str(error.value)) == unread
    assert ("cannot go on from (" in str(error.value)) != unread
    assert "\n" not in str(error.value)
    assert (tmp_path / NAME).read_bytes() == before


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file may become larger, as if the disk were full."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# Nothing fits; some of the parts fit; all but the seal fits.
@pytest.mark.parametrize("missing", [1.0, 0.5, 10])
def test_a_full_disk_leaves_the_checkpoint_that_was_there(
    missing: float, tmp_path: Path, whole: Fit
) -> None:
    killed(tmp_path)
    before = files(tmp_path)
    size = len(before[NAME])
    room = int(size - (missing if missing > 1 else missing * size))
    with pytest.raises(OSError, match="could not be written") as error, full_disk(room):
        resumed(tmp_path)
    assert str(error.value).startswith(f"{tmp_path / NAME} could not be written (")
    assert "File too large" in str(error.value)
    assert str(error.value).endswith("); what was there before is as it was")
    assert files(tmp_path) == before
    done = resumed(tmp_path)
    assert differences(done.model.state_dict(), whole.model.state_dict()) == []
