"""The gallery's page runs as it stands, and shows every plot there is."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from matplotlib.axes import Axes

from metricface import plots

SCRIPT = Path(__file__).parents[2] / "docs" / "figures" / "gallery.py"


def test_every_plot_is_drawn_by_the_code_beside_it() -> None:
    spec = importlib.util.spec_from_file_location("gallery", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    gallery = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(gallery)
    shown = dict(gallery.drawn())
    for ax in shown.values():
        assert isinstance(ax, Axes)
        assert any(part.has_data() or part.images for part in (*ax.figure.axes, *ax.child_axes))
    assert all(file.is_file() for file in shown)
    assert {file.stem for file in shown} == set(plots.__all__)
    code = re.findall(r"plots\.(\w+)\(", gallery.PAGE.read_text(encoding="utf-8"))
    assert set(code) == set(plots.__all__)
