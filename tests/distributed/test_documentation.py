"""The program on the page ends with the same weights on one process and on two."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.distributed.page_program import PAGE
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


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")  # as it is on one process
def test_the_program_of_the_sharded_classifier_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = PAGE.read_text(encoding="utf-8")
    (program,) = re.findall(r"## Sharded classifier\n[^#]*```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(program, str(PAGE), "exec"), names)
    assert names["value"].item() > 0
    assert names["optimizers"][1].state[names["head"].weight]["exp_avg"].any()
    assert (tmp_path / "checkpoint" / ".metadata").is_file()
