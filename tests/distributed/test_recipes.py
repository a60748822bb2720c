"""``fit`` and the other recipes on several processes end where they end on one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from metricface.files import LOCK, used_alone
from metricface.recipes.resuming.checkpoints import NAME, PREVIOUS
from tests.distributed.killed_recipe import STARTS, TIMEOUT
from tests.distributed.recipes_program import on_the_page
from tests.distributed.trainings import TRAININGS, monitored, outcome, restless, triplets
from tests.processes import run
from tests.recipes.toys import differences

Said = list[Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of all programs here; they share the folders of trainings in it."""
    return tmp_path_factory.mktemp("recipes")


def started(folder: Path, name: str, module: str, processes: int, **given: Any) -> Said:
    (folder / name).mkdir()
    return run(f"tests.distributed.{module}", folder / name, processes, **given)


@pytest.fixture(scope="module")
def two(folder: Path) -> Said:
    """What each of two processes found."""
    with used_alone(folder / "in use"):
        return started(folder, "two", "recipes_program", 2)


@pytest.fixture(scope="module")
def three(folder: Path, two: Said) -> Said:
    """What each of three found, afterwards."""
    return started(folder, "three", "recipes_program", 3)


@pytest.fixture(scope="module")
def starts(folder: Path) -> list[Said]:
    """What each of three found in a training of which a process was killed, and then another."""
    said = []
    for name, (who, batch) in STARTS.items():
        dead = {who} if batch < math.inf else set()
        said.append(started(folder, name, "killed_recipe", 3, killed=dead))
    return said


def check_outcome(found: dict[str, Any], expected: dict[str, Any], bound: float) -> None:
    assert found["weights"] == pytest.approx(expected["weights"], rel=bound, abs=bound)
    assert len(found["rows"]) == len(expected["rows"]) > 1
    for row, other in zip(found["rows"], expected["rows"], strict=True):
        assert row == pytest.approx(other, rel=bound, abs=bound)


@pytest.mark.parametrize("name", TRAININGS)
def test_two_processes_end_where_one_ends(two: Said, name: str) -> None:
    first, second = (own["trainings"][name] for own in two)
    assert first == second
    check_outcome(first, outcome(TRAININGS[name]()), 1e-5 if name == "deepid2" else 1e-10)


@pytest.mark.parametrize("name", ["triplets", "three losses"])
def test_three_processes_end_where_one_ends(three: Said, name: str) -> None:
    assert all(own["trainings"] == three[0]["trainings"] for own in three)
    check_outcome(three[0]["trainings"][name], outcome(TRAININGS[name]()), 1e-10)


def test_a_training_goes_on_with_other_numbers_of_processes(
    three: Said, two: Said, folder: Path
) -> None:
    """Two processes of 6 identities, three of 4, one of 12; stopped within epochs."""
    assert [own["elastic"] for own in (*two, *three)] == [None] * 5
    saved = torch.load(folder / "elastic" / NAME, weights_only=True)["training"]
    assert (saved["step"], saved["batches"]["sampler"]["world_size"]) == (6, 3)
    with pytest.raises(ValueError, match=r"other settings: options.lr was 0.01, is 0.02\. Give"):
        triplets(folder / "elastic", lr=0.02)
    check_outcome(outcome(triplets(folder / "elastic")), outcome(triplets()), 1e-10)


def test_a_killed_process_ends_the_others_and_the_next_start_goes_on_to_the_same_bits(
    starts: list[Said], three: Said, folder: Path
) -> None:
    once, twice, at_last = starts
    assert once[1] is None
    assert twice[0] is None
    assert max(once[0], once[2], *twice[1:]) < TIMEOUT + 5
    one, other = (torch.load(folder / name / NAME, weights_only=True) for name in NAMES)
    assert differences(one, other) == []
    assert at_last == [own["restless"] for own in three]


NAMES = ("whole", "killed")


def test_ranks_draw_differently_and_all_of_it_is_in_the_one_checkpoint(
    three: Said, folder: Path
) -> None:
    saved = torch.load(folder / "whole" / NAME, weights_only=True)["training"]
    states = [
        (saved["random"]["torch"], saved["batches"]["augment"]),
        *((each["random"]["torch"], each["augment"]) for each in saved["ranks"]),
    ]
    assert len(states) == 3
    for kind in range(2):
        assert len({tuple(state[kind].tolist()) for state in states}) == 3
    assert all(own["restless"] == three[0]["restless"] for own in three)  # statistics and all
    # One process takes what was rank 0's; the training is at its end.
    assert outcome(restless(folder / "whole"))["weights"] == three[0]["restless"]["weights"]


def test_tensors_become_those_of_rank_0_and_embeddings_are_whole(three: Said) -> None:
    for own in three:
        assert own["from the first"] == [[[2, 2]] * 3, 1, [0.25] * 3, [], 2]
        assert own["embedded"] == [True] * 4


def test_the_program_of_the_page_runs_on_one_process_and_on_two(
    two: Said, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)  # it changes to another folder
    alone = on_the_page(tmp_path)
    assert two[0]["page"] == two[1]["page"]
    assert two[0]["page"].keys() == alone.keys()
    for name in ("map_at_r", "auc"):  # float32: rounding may decide what is mined
        assert two[0]["page"][name] == pytest.approx(alone[name], abs=0.05)
    assert (folder / "page" / "runs" / "shared" / NAME).is_file()


def test_a_step_in_chunks_reduces_once(two: Said) -> None:
    for own in two:
        first, *others = own["reduced"]
        assert [count - first for count in others] == [3, 4, 5, 6, 7]  # two to settle buckets


def test_a_monitor_on_rank_0_sees_the_batch_of_all(two: Said) -> None:
    expected = monitored()[1]
    assert len(two[0]["records"]) == len(expected) == 6
    assert two[1]["records"] == []
    for record, other in zip(two[0]["records"], expected, strict=True):
        assert record == pytest.approx(other, rel=1e-5, abs=1e-6, nan_ok=True)
        assert not math.isnan(record["gradient_share"])


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("in use", "BlockingIOError: {folder}/in use is in use by a run that has not ended"),
        ("options", "ValueError: all ranks must train alike, .*: options.lr was 0.01, is 0.02"),
        ("folder", "ValueError: all ranks .*rank 1 of 2 .*: folder was None, is '{folder}/one'"),
        ("steps", "ValueError: steps must be at least 1, got 0"),
        ("sampler", "ValueError: 2 processes train, but the sampler shares .* out among 1: make"),
        ("measure", "LookupError: no measure on rank 0"),
        ("synchronised", "ValueError: sync_batch_norm=True needs a model on a GPU"),
        ("unlike", r"\w+: (Odd: )?of a kind"),
        ("tqdm", "ImportError: a progress bar needs tqdm"),
        ("torch.utils.tensorboard", "ImportError: tensorboard=True needs TensorBoard"),
    ],
)
def test_every_rank_hears_what_is_wrong_on_one(
    two: Said, folder: Path, case: str, says: str
) -> None:
    for own in two:
        pattern = says.replace("{folder}", str(folder).replace("\\", "/"))
        assert_matches(own["heard"][case], pattern)


def assert_matches(text: str, pattern: str) -> None:
    with pytest.raises(LookupError, match=pattern):
        raise LookupError(text)


def test_there_is_one_bar_one_log_and_one_checkpoint(two: Said, folder: Path) -> None:
    names = sorted(each.name for each in (folder / "watched").iterdir())
    assert names == [LOCK, PREVIOUS, NAME, "tensorboard"]
    assert len(list((folder / "watched" / "tensorboard").iterdir())) == 1
    printed = [(folder / "two" / f"{rank}.txt").read_text() for rank in range(2)]
    assert ["step" in text for text in printed] == [True, False]
