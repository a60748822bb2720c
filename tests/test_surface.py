"""No public name vanishes, or takes other arguments, without a line in the changelog."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import surface


def test_what_changed_is_in_the_changelog() -> None:
    assert surface.unannounced() == []


def test_what_there_is_is_written_down() -> None:
    new = {
        name: now for name, now in surface.surface().items() if surface.recorded().get(name) != now
    }
    assert not new, f"run python -m tests.surface and commit {surface.RECORDED.name}: {sorted(new)}"


def test_a_name_that_vanishes_is_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "surface.txt"
    lines = ["losses.NoSuchLoss (margin=0.2)", "losses.TripletLoss (margin=7)", "types.Pairs ()"]
    file.write_text("\n".join(lines))
    monkeypatch.setattr(surface, "RECORDED", file)
    (tmp_path / "CHANGELOG.md").write_text(
        "## [Unreleased]\n- `Pairs` changed\n\n## [0.1]\n`NoSuchLoss`"
    )
    monkeypatch.setattr(surface, "ROOT", tmp_path)
    assert surface.unannounced() == ["losses.NoSuchLoss", "losses.TripletLoss"]
    assert surface.main() == 1
    assert file.read_text().startswith("losses.NoSuchLoss")
