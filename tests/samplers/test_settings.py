"""Settings of samplers: numbers are checked by name, and numpy's numbers are numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset, Subset

from metricface.samplers import (
    GroupedPKSampler,
    HardIdentitySampler,
    IdentitySampler,
    PKSampler,
)

LABELS = [0, 0, 1, 1, 2, 2, 3, 3]
ALIKE = [[1], [0], [3], [2]]
KINDS: dict[str, Callable[..., IdentitySampler]] = {
    "pk": lambda **given: PKSampler(**{"labels": LABELS, "p": 2, "k": 2, **given}),
    "hard": lambda **given: HardIdentitySampler(
        **{"labels": LABELS, "p": 2, "k": 2, "neighbours": ALIKE, **given}
    ),
    "grouped": lambda **given: GroupedPKSampler(
        **{"labels": LABELS, "p": 2, "k": 2, "groups": [0] * 8, **given}
    ),
}
NO_INTEGERS = {
    "a truth value": (True, "True"),
    "a fraction": (2.5, "2.5"),
    "nan": (float("nan"), "nan"),
    "a string": ("2", "the string '2'"),
    "a tensor": (torch.tensor(2), r"Tensor of shape \(\)"),
}
no_integers = pytest.mark.parametrize(("value", "shown"), NO_INTEGERS.values(), ids=NO_INTEGERS)
kinds = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)


@kinds
@no_integers
@pytest.mark.parametrize("name", ["p", "k", "seed", "rank", "world_size"])
def test_what_is_no_integer_is_named(
    make: Callable[..., IdentitySampler], name: str, value: object, shown: str
) -> None:
    both = {"rank": 0, "world_size": 1} if name in ("rank", "world_size") else {}
    with pytest.raises(TypeError, match=f"^{name} must be an integer of at least ., got {shown}$"):
        make(**{**both, name: value})


@no_integers
def test_a_group_that_is_no_integer_is_named(value: object, shown: str) -> None:
    with pytest.raises(TypeError, match=f"^group must be an integer .* got {shown}$"):
        KINDS["hard"](group=value)


@pytest.mark.parametrize("value", [True, "0.5", torch.tensor(0.5)])
def test_a_share_that_is_no_number_is_named(value: object) -> None:
    with pytest.raises(TypeError, match=r"^hard_fraction must be a number, got"):
        KINDS["hard"](hard_fraction=value)


@kinds
@no_integers
def test_a_place_that_is_no_integer_is_named(
    make: Callable[..., IdentitySampler], value: Any, shown: str
) -> None:
    with pytest.raises(TypeError, match=f"^epoch must be an integer of at least 0, got {shown}$"):
        make().set_epoch(value)
    with pytest.raises(TypeError, match=f"^done must be an integer of at least 0, got {shown}$"):
        make().state_dict(done=value)


@pytest.mark.parametrize(("value", "error"), [(-1, ValueError), (2.5, TypeError)])
def test_an_epoch_that_does_not_exist_has_no_report(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^epoch must be"):
        PKSampler(LABELS, 2, 2).report(value)
    with pytest.raises(error, match=r"^epoch must be"):
        GroupedPKSampler(LABELS, 2, 2, [0] * 8).batches_per_group(value)


@kinds
def test_numbers_of_numpy_are_numbers_and_leave_a_state_of_plain_ones(
    make: Callable[..., IdentitySampler], tmp_path: Path
) -> None:
    """A state with a numpy number in it would not load as weights only."""
    one, two = np.int64(1), np.int64(2)
    numpy: dict[str, Any] = {"p": two, "k": two, "seed": one, "rank": one, "world_size": two}
    plain = {name: int(value) for name, value in numpy.items()}
    if make is KINDS["hard"]:
        numpy |= {"group": two, "hard_fraction": np.float64(1)}
    sampler, resumed = make(**numpy), make(**plain)
    sampler.set_epoch(one)
    torch.save(sampler.state_dict(done=np.int64(0)), tmp_path / "state.pt")
    resumed.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert resumed.epoch == 1
    assert list(resumed) == list(sampler)


class Wrapped(Dataset[int]):
    """A part of a data set that still shows the labels of the whole."""

    def __init__(self, count: int, **told: object) -> None:
        self.count = count
        vars(self).update(told)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> int:
        return index


@pytest.mark.parametrize("name", ["labels", "targets"])
def test_a_dataset_with_labels_for_others_than_its_items_is_refused(name: str) -> None:
    part = Wrapped(5, **{name: LABELS})
    with pytest.raises(ValueError, match=f"Wrapped has 5 items, but its .{name} are 8"):
        PKSampler(part, 2, 2)


def test_of_two_lists_the_one_with_a_label_for_each_item_is_taken() -> None:
    named = Wrapped(8, labels=["anna", "ben", "carl", "dora"], targets=LABELS)
    assert PKSampler(named, 2, 2).identities == [0, 1, 2, 3]
    assert PKSampler(Subset(named, [0, 1, 2, 3]), 2, 2).identities == [0, 1]


class TestTheDataItWasMadeFor:
    """Which images belong together must be the same in both; what they are called need not."""

    def checked(self, labels: list[Any], numbers: list[int], **given: Any) -> None:
        PKSampler(labels, 1, 2, **given).check_made_for(np.array(numbers))

    def test_names_do_not_count(self) -> None:
        self.checked(["z", "a", "z", "a"], [0, 1, 0, 1])

    @pytest.mark.parametrize(
        ("labels", "numbers", "message"),
        [
            ([0, 1, 0, 1], [0, 0, 1, 1], "only to the sampler items 0 and 2 are of one identity"),
            ([0, 0, 0, 0], [0, 0, 1, 1], "only to the sampler items 0 and 3 are of one identity"),
            ([0, 0, 1, 1], [0, 0, 0, 0], "only in the data items 0 and 3 are of one identity"),
            ([0, 0, 1, 1], [0, 0, 1], "made for 4 items, but the data has 3"),
        ],
    )
    def test_others_are_refused(self, labels: list[Any], numbers: list[int], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            self.checked(labels, numbers)

    def test_what_is_left_out_is_not_looked_at(self) -> None:
        """Identities that are too small, and items that came to the data later."""
        self.checked([0, 0, 1, 2, 2], [0, 0, 2, 1, 1], short="skip")
        self.checked([0, 0, 1, 2, 2], [0, 0, 0, 1, 1], short="skip")
        self.checked([0, 0, 1, 1], [0, 0, 1, 1, 2, 2])

    @kinds
    def test_every_sampler_knows(self, make: Callable[..., IdentitySampler]) -> None:
        make().check_made_for(np.array(LABELS))
        with pytest.raises(ValueError, match="made for other labels than the data has"):
            make().check_made_for(np.array(LABELS)[[0, 2, 1, *range(3, 8)]])
