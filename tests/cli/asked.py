"""What a command answers, and the one sentence of one that fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from metricface.cli import main


def scored(*arguments: str) -> dict[str, Any]:
    """The report of ``evaluate``, in the working folder."""
    assert main(["evaluate", *arguments, "--out", "r.json"]) == 0
    report: dict[str, Any] = json.loads(Path("r.json").read_text())
    return report


def refused(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    """The one sentence of a command that fails."""
    capsys.readouterr()
    assert main([*command]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    return err
