"""The program of every page ends with the weights of the plain one on a single process."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.distributed.page_program import DOCS
from tests.processes import run

PROGRAM, PLAIN = "tests.distributed.page_program", "distributed.md"


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return run(PROGRAM, tmp_path_factory.mktemp("one"), 1, arguments=[PLAIN])[0]


@pytest.mark.parametrize("package", ["torch", "accelerate", "lightning"])
def test_the_weights_of_two_processes_are_those_of_one(
    one: Any, package: str, tmp_path: Path
) -> None:
    """Those of Accelerate and Lightning are stopped, and go on from the midst of an epoch."""
    if not find_spec(package):
        pytest.skip(f"needs {package}")
    page = PLAIN if package == "torch" else f"distributed/{package}.md"
    first, second = run(PROGRAM, tmp_path, 2, arguments=[page])
    assert first == second
    assert first["weights"] == pytest.approx(one["weights"], rel=1e-9, abs=1e-9)
    assert first["loss"] == pytest.approx(one["loss"], rel=1e-6)
    assert one["loss"] > 0


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")  # as it is on one process
def test_the_program_of_the_sharded_classifier_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (DOCS / PLAIN).read_text(encoding="utf-8")
    (program,) = re.findall(r"## Sharded classifier\n[^#]*```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(program, PLAIN, "exec"), names)
    assert names["value"].item() > 0
    assert names["optimizers"][1].state[names["head"].weight]["exp_avg"].any()
    assert (tmp_path / "checkpoint" / ".metadata").is_file()
