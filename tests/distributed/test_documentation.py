"""The program on the page ends with the same weights on one process and on two."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.processes import run


def test_the_weights_of_two_processes_are_those_of_one(tmp_path: Path) -> None:
    alone, together = tmp_path / "alone", tmp_path / "together"
    alone.mkdir()
    together.mkdir()
    (one,) = run("tests.distributed.page_program", alone, 1)
    first, second = run("tests.distributed.page_program", together, 2)
    assert first == second
    assert first["weights"] == pytest.approx(one["weights"], rel=1e-9, abs=1e-9)
    assert first["loss"] == pytest.approx(one["loss"], rel=1e-9)
    assert one["loss"] > 0
